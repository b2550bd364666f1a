"""ChatGLM-6B's ice_text.model as a tokenizer of the `tokenizers` library."""

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors
from transformers import PreTrainedTokenizerFast

from worker.architectures.chatglm.configuration import ChatGLMConfig
from worker.architectures.sentencepiece import Kind, SentencePiece, read_sentencepiece

#: The original's file name.
VOCABULARY_NAME = "ice_text.model"
#: Ids that the first release keeps for images, ahead of those for text.
IMAGE_TOKENS = 20_000
_SPACE = "\u2581"
_NEWLINE, _TAB, _LONGEST_BLANK = "<n>", "<|tab|>", 80
#: A piece with this score is never chosen: spelling it out is likelier.
_NEVER = -1e6
_SPECIAL = ("<unk>", "<s>", "</s>", "<pad>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>")


def read_tokenizer(path: Path, config: ChatGLMConfig) -> PreTrainedTokenizerFast:
    """The tokenizer of an ice_text.model, with ids of the config's vocabulary.

    Newlines, tabs and runs of 2 to 80 blanks are tokens of their own. A prompt is followed by
    [gMASK] <sop>. Names of special tokens in a text are text. Raises ValueError for another file.
    """
    found = read_sentencepiece(path)
    offset = config.bos_token_id - _id(found, "<sop>")
    if found.algorithm != 1 or offset not in (0, IMAGE_TOKENS):
        raise ValueError(f"{path.name} does not belong to bos_token_id {config.bos_token_id}")
    tokenizer = _assembled(found, offset)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<sop>",
        eos_token="<eop>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="[MASK]",
        extra_special_tokens={"gmask_token": "[gMASK]"},
        padding_side="left",
        # SentencePiece never finds these names in a text either.
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
        model_max_length=config.max_sequence_length,
    )


def _assembled(found: SentencePiece, offset: int) -> Tokenizer:
    images = [(f"<image_{number}>", _NEVER) for number in range(offset)]
    chosen = [
        (piece.text, piece.score if piece.kind is Kind.NORMAL else _NEVER)
        for piece in found.vocabulary
    ]
    unknown = offset + _id(found, "<unk>")
    tokenizer = Tokenizer(models.Unigram(images + chosen, unknown, byte_fallback=True))
    named = [piece.text for piece in found.vocabulary if piece.kind is Kind.USER_DEFINED]
    tokenizer.normalizer = _normaliser(found, named)
    tokenizer.add_tokens([AddedToken(name, normalized=True) for name in named])
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in _SPECIAL])
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace(_SPACE, " "),
            decoders.Strip(" ", 1, 0),
            *(decoders.Replace(name, text) for text, name in _written()),
        ]
    )
    around = ("[gMASK]", "<sop>", "<eop>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [gMASK] <sop>",
        pair="$A [gMASK] <sop> $B <eop>",
        special_tokens=[(name, offset + _id(found, name)) for name in around],
    )
    return tokenizer


def _normaliser(found: SentencePiece, named: list[str]) -> normalizers.Normalizer:
    """What SentencePiece does to a text before it looks for pieces, after the original's own
    replacement of newlines, tabs and blanks."""
    steps: list[normalizers.Normalizer] = [
        normalizers.Replace(text, name) for text, name in _written()
    ]
    if found.charsmap:
        steps.append(normalizers.Precompiled(found.charsmap))
    if found.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    steps.append(normalizers.Replace(" ", _SPACE))
    if found.add_dummy_prefix:
        # Not before the name of a token alone: so the library normalises the names themselves.
        names = "|".join(name.replace("|", r"\|") for name in named)
        steps.append(normalizers.Replace(Regex(rf"\A(?!(?:{names})\z)(?=[\s\S])"), _SPACE))
    return normalizers.Sequence(steps)


def _written() -> list[tuple[str, str]]:
    """Texts and the names of their tokens, longest first."""
    blanks = range(_LONGEST_BLANK, 1, -1)
    return [
        ("\n", _NEWLINE),
        ("\t", _TAB),
        *((" " * count, f"<|blank_{count}|>") for count in blanks),
    ]


def _id(found: SentencePiece, name: str) -> int:
    for number, piece in enumerate(found.vocabulary):
        if piece.text == name:
            return number
    raise ValueError(f"it has no {name}")
