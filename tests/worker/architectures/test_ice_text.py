"""ChatGLM-6B's vocabulary file becomes a tokenizer that gives SentencePiece's ids."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from shared.formats import Conversation, Turn
from tiny_chatglm import IDS, PIECES, config_of, write_ice_text
from worker.architectures.chatglm import ChatGLMConfig
from worker.architectures.chatglm.tokenization import IMAGE_TOKENS, read_tokenizer
from worker.architectures.sentencepiece import Kind, read_sentencepiece
from worker.framing import frame_of
from worker.training.examples import encode

SPACE = "\u2581"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("ice") / "ice_text.model"
    write_ice_text(path)
    return read_tokenizer(path, ChatGLMConfig(**config_of()))


def ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("the capital of", [f"{SPACE}the", f"{SPACE}capital", f"{SPACE}of"]),
        ("Paris.", [f"{SPACE}Par", "is", "."]),
        ("你好", [SPACE, "你好"]),
        ("a\nb", [SPACE, "a", "<n>", "b"]),
        ("a\n\n\tb", [SPACE, "a", "<n>", "<n>", "<|tab|>", "b"]),
        ("\na", [SPACE, "<n>", "a"]),
        ("a   b", [SPACE, "a", "<|blank_3|>", "b"]),
        ("a" + " " * 83 + "b", [SPACE, "a", "<|blank_80|>", "<|blank_3|>", "b"]),
        ("a" + " " * 81 + "b", [SPACE, "a", "<|blank_80|>", SPACE, "b"]),
        ("é", [SPACE, "<0xC3>", "<0xA9>"]),
        ("<sop>", [SPACE, "<", "s", "o", "p", ">"]),
    ],
)
def test_newlines_tabs_and_blanks_are_tokens_and_special_names_are_text(
    tokenizer: Any, text: str, pieces: list[str]
) -> None:
    assert ids(tokenizer, text) == [IDS[piece] for piece in pieces]
    assert tokenizer.decode(ids(tokenizer, text)) == text


def test_a_prompt_is_followed_by_gmask_and_sop_and_an_answer_by_eop(tokenizer: Any) -> None:
    gmask, sop, eop = (IDS[name] for name in ("[gMASK]", "<sop>", "<eop>"))
    assert tokenizer("a")["input_ids"] == [IDS[SPACE], IDS["a"], gmask, sop]
    assert (frame_of(tokenizer).before, frame_of(tokenizer).after) == ((), (gmask, sop))
    row = {"instruction": "a", "input": "", "output": "b"}
    [example] = encode([row], tokenizer, "alpaca-en", 512).examples
    answer = [gmask, sop, IDS[SPACE], IDS["b"], eop]
    assert list(example.ids[-5:]) == answer
    assert example.trained == ((len(example.ids) - 3, len(example.ids)),)
    assert example.ids.count(sop) == 1


def test_of_several_answers_the_last_is_learned_and_the_others_are_asked(tokenizer: Any) -> None:
    turns = (
        Turn("user", "a"),
        Turn("assistant", "b", trained=True),
        Turn("user", "c"),
        Turn("assistant", "a", trained=True),
    )
    [example] = encode([Conversation(turns)], tokenizer, "alpaca-en", 4096).examples
    [span] = example.trained
    assert example.ids[span[0] - 1] == IDS["<sop>"]
    assert example.ids.count(IDS["<sop>"]) == example.ids.count(IDS["<eop>"]) == 1


def test_saved_and_loaded_it_gives_the_same(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "the capital  of\n\t你好 <sop> é"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert (again.gmask_token_id, again.bos_token_id) == (IDS["[gMASK]"], IDS["<sop>"])


def test_the_first_release_has_the_same_text_behind_its_image_tokens(
    tokenizer: Any, tmp_path: Path
) -> None:
    write_ice_text(tmp_path / "ice_text.model")
    config = ChatGLMConfig(**config_of(IMAGE_TOKENS))
    assert config.gmask_token_id == IMAGE_TOKENS + IDS["[gMASK]"]
    first = read_tokenizer(tmp_path / "ice_text.model", config)
    text = "the capital of\n你好 é"
    assert first(text)["input_ids"] == [IMAGE_TOKENS + one for one in tokenizer(text)["input_ids"]]
    assert first.decode(ids(first, text)) == text


def test_a_vocabulary_of_other_ids_is_refused(tmp_path: Path) -> None:
    write_ice_text(tmp_path / "ice_text.model")
    with pytest.raises(ValueError, match="does not belong"):
        read_tokenizer(tmp_path / "ice_text.model", ChatGLMConfig())


def test_a_file_that_is_no_model_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ice_text.model"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match="no SentencePiece model"):
        read_sentencepiece(path)
    write_ice_text(path)
    found = read_sentencepiece(path)
    assert len(found.vocabulary) == len(PIECES)
    assert [piece.kind for piece in found.vocabulary[:5]] == [
        Kind.UNKNOWN, Kind.CONTROL, Kind.CONTROL, Kind.CONTROL, Kind.USER_DEFINED,
    ]  # fmt: skip
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="no SentencePiece model"):
        read_sentencepiece(path)
