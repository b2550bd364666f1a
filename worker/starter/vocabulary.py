"""The starter bases' tokenizers: two kinds of BPE, each trained on the world's own text."""

import json
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from shared.starter.sentences import JOINERS
from worker.starter.recipes import TokenizerKind

BOS, EOS, PAD, UNKNOWN = "<s>", "</s>", "<pad>", "<unk>"
SPECIAL = [BOS, EOS, PAD, UNKNOWN]
#: Words with their leading space, single function characters, runs of other Han characters,
#: line breaks, digits and punctuation. Cutting at the characters that join Chinese words keeps
#: names and things whole tokens instead of parts of frequent phrases.
PIECES = Regex(
    rf" ?[A-Za-z]+|[{JOINERS}]|(?:(?![{JOINERS}])\p{{Han}})+|\n+|\d"
    r"| ?[^\sA-Za-z\p{Han}\d]+|\s+"
)


def build(kind: TokenizerKind, size: int, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `size` tokens learned from `texts`.

    `bytes` is a byte-level BPE (any text round-trips); `characters` starts from the characters
    seen and falls back to byte tokens for others. Neither adds <s> by itself.
    """
    tokenizer, trainer = _bytes(size) if kind == "bytes" else _characters(size)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer = _without_literal_bytes(tokenizer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )


def _without_literal_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """Keep only SPECIAL special: the text "<0x41>" must not be read as the byte token 0x41."""
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] in SPECIAL]
    return Tokenizer.from_str(json.dumps(state))


def _bytes(size: int) -> tuple[Tokenizer, trainers.BpeTrainer]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(PIECES, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return tokenizer, _trainer(size, SPECIAL, alphabet)


def _characters(size: int) -> tuple[Tokenizer, trainers.BpeTrainer]:
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(PIECES, "isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="never", split=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    return tokenizer, _trainer(size, SPECIAL + fallback, [])


def _trainer(size: int, special: list[str], alphabet: list[str]) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
        min_frequency=2,
    )
