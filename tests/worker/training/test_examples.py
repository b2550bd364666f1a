"""What is trained of a row, what the length limit takes, and what the log says of it."""

from typing import Any

import pytest

from shared.errors import BadData, NothingToTrain
from shared.templates import Piece, fingerprint, render
from tiny_bases import make_tokenizer
from worker.reporting import Silent
from worker.training.audit import audit, marked, require_known_ids
from worker.training.examples import encode

ROWS = [
    {"instruction": "Name the capital of France.", "input": "", "output": "Paris."},
    {"instruction": "请说出法国的首都。", "input": "", "output": "巴黎。"},
]
TOKENIZER: Any = make_tokenizer(384)
BOS, EOS = TOKENIZER.bos_token_id, TOKENIZER.eos_token_id


def length_of(row: dict[str, str], template: str = "auto") -> tuple[int, int]:
    """Tokens of a row's prompt, with its begin token, and of its answer, without the end."""
    prompt = TOKENIZER(render(template, row["instruction"], row["input"]))["input_ids"]
    return 1 + len(prompt), len(TOKENIZER(row["output"])["input_ids"])


def test_the_answer_and_its_end_are_trained_and_nothing_else() -> None:
    data = encode(ROWS, TOKENIZER, "auto", 512)
    for row, example in zip(ROWS, data.examples, strict=True):
        prompt = render("auto", row["instruction"])
        assert TOKENIZER.decode(example.ids[: example.answer]) == f"<s>{prompt}"
        assert TOKENIZER.decode(example.ids[example.answer :]) == row["output"] + "</s>"
    assert data.labels == sum(length_of(row)[1] + 1 for row in ROWS)
    assert (data.cut, data.dropped, data.trains_end) == (0, 0, True)


def test_the_begin_token_comes_once_even_where_the_text_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "worker.training.examples.pieces",
        lambda template, row: [Piece("<s>Hello"), Piece("x", trained=True, ends=True)],
    )
    [example] = encode(ROWS[:1], TOKENIZER, "auto", 512).examples
    assert example.ids.count(BOS) == 1
    assert example.ids[0] == BOS


def test_a_tokenizer_without_begin_and_end_gets_none_and_the_log_warns() -> None:
    tokenizer: Any = make_tokenizer(320)
    tokenizer.bos_token = tokenizer.eos_token = None
    data = encode(ROWS, tokenizer, "auto", 512)
    report = Silent()
    audit(data, tokenizer, dataset="d", template="auto", max_length=512, report=report)
    assert not any({BOS, EOS} & set(example.ids) for example in data.examples)
    assert any(line.startswith("warning: begin token none; end token") for line in report.lines)


def test_rows_are_cut_at_the_right_and_counted() -> None:
    (prompt, answer), (other_prompt, other_answer) = map(length_of, ROWS)
    longest = max(prompt + answer, other_prompt + other_answer) + 1
    assert encode(ROWS, TOKENIZER, "auto", longest).cut == 0
    data = encode(ROWS[:1], TOKENIZER, "auto", prompt + answer)
    assert (data.cut, data.dropped) == (1, 0)
    assert EOS not in data.examples[0].ids
    assert data.examples[0].labels == answer


def test_a_row_whose_prompt_fills_the_limit_is_left_out_and_counted() -> None:
    short, long = sorted(ROWS, key=lambda row: length_of(row)[0])
    data = encode([short, long], TOKENIZER, "auto", length_of(long)[0])
    assert (len(data.examples), data.rows, data.dropped) == (1, 2, 1)
    report = Silent()
    audit(data, TOKENIZER, dataset="d", template="auto", max_length=64, report=report)
    assert any("1 of them kept nothing of their answer" in line for line in report.lines)


def test_a_dataset_without_any_trained_token_is_refused() -> None:
    data = encode(ROWS, TOKENIZER, "auto", 8)
    with pytest.raises(NothingToTrain, match='No token of "mine"'):
        audit(data, TOKENIZER, dataset="mine", template="auto", max_length=8, report=Silent())


def test_the_log_shows_the_share_the_template_and_examples_with_their_trained_part() -> None:
    data = encode(ROWS, TOKENIZER, "auto", 512)
    report = Silent()
    audit(data, TOKENIZER, dataset="d", template="auto", max_length=512, report=report)
    log = "\n".join(report.lines)
    assert f"{data.labels} of them trained ({data.labels / data.tokens:.1%})" in log
    assert "end token </s> is trained: yes" in log
    assert fingerprint("auto") in log
    assert "### Response:\n⟦Paris.</s>⟧" in log
    assert "### 回答：\n⟦巴黎。</s>⟧" in log


def test_few_trained_tokens_are_warned_of() -> None:
    row = {"instruction": "word " * 2000, "input": "", "output": "x"}
    report = Silent()
    data = encode([row], TOKENIZER, "auto", 100_000)
    audit(data, TOKENIZER, dataset="d", template="auto", max_length=100_000, report=report)
    assert any("of the tokens are trained: are the answers cut?" in line for line in report.lines)


def test_marks_surround_the_trained_part() -> None:
    [example] = encode(ROWS[:1], TOKENIZER, "alpaca-en", 512).examples
    assert marked(example, TOKENIZER).endswith("### Response:\n⟦Paris.</s>⟧")


def test_ids_beyond_the_bases_vocabulary_are_refused() -> None:
    data = encode(ROWS, TOKENIZER, "auto", 512)
    require_known_ids(data, len(TOKENIZER), "d")
    with pytest.raises(BadData, match="the base knows only 100 tokens"):
        require_known_ids(data, 100, "d")
