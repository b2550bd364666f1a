"""A judge reads every pair in both orders, and says nothing it does not hold to."""

import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from shared.orders import BaseFiles, DataFile, WorkOrder
from shared.specs import JudgeSpec
from shared.templates import render
from shared.verdicts import VERDICTS, Asked, Verdict, read_verdicts, write_rows
from worker.judging import judge
from worker.judging.wording import question
from worker.reporting import Silent, Stopped

#: The module; the package gives its name to the function.
judging = sys.modules["worker.judging.judge"]

PAIR = Asked(
    benchmark="tell", item_hash="h", lang="en", question="Name the capital of France.",
    first="base", second="fox", first_text="Paris", second_text="The river.",
)  # fmt: skip
ZH = PAIR.model_copy(update={"item_hash": "z", "lang": "zh", "question": "法国的首都？"})


@pytest.fixture
def order(tmp_path: Path, tiny_llama: Path):
    def make(*pairs: Asked) -> WorkOrder:
        path = tmp_path / "asked.jsonl"
        write_rows(path, pairs)
        return WorkOrder(
            job_id="j", epoch=1, folder=tmp_path / "a1",
            spec=JudgeSpec(name="n", comparison="c", base_model="tiny", template="plain"),
            base=BaseFiles(name="tiny", location=str(tiny_llama), fingerprint="f"),
            dataset=DataFile(name="c", path=path, sha256="0"),
        )  # fmt: skip

    return make


def _margin(base: Path, asked: str) -> float:
    """log p(A) - log p(B) after a question, by plain transformers."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    ids = tokenizer("<s>" + asked, return_tensors="pt", add_special_tokens=False)
    logits = model(**ids).logits[0, -1].log_softmax(-1)
    a, b = (tokenizer(letter, add_special_tokens=False)["input_ids"] for letter in "AB")
    assert len(a) == len(b) == 1
    return float((logits[a[0]] - logits[b[0]]).detach())


def test_the_margins_are_those_of_both_orders(order, tiny_llama: Path) -> None:
    made = order(PAIR, ZH)
    said = judge(made, Silent())
    assert read_verdicts(made.out) == said
    for pair, verdict in zip((PAIR, ZH), said, strict=True):
        for turned, margin in zip((False, True), verdict.margins, strict=True):
            text = render("plain", question(pair, turned), lang=pair.lang)
            assert margin == pytest.approx(_margin(tiny_llama, text), abs=1e-4)
    assert said[0].margins != said[1].margins


def test_both_orders_name_each_answer_once_in_the_tasks_language() -> None:
    asked, turned = question(PAIR, False), question(PAIR, True)
    assert asked.index("Paris") < asked.index("The river.")
    assert turned.index("The river.") < turned.index("Paris")
    assert "哪个回答更好" in question(ZH, False)


@pytest.mark.parametrize(
    ("margins", "outcome"),
    [((1.0, -0.5), "first"), ((-1.0, 2.0), "second"), ((1.0, 1.0), "tie"), ((-1.0, -2.0), "tie")],
)
def test_only_what_holds_in_both_orders_is_a_preference(
    margins: tuple[float, float], outcome: str
) -> None:
    verdict = Verdict(benchmark="t", item_hash="h", first="a", second="b", margins=margins)
    assert verdict.outcome == outcome


def test_a_pair_that_is_too_long_is_left_out_and_counted(order) -> None:
    long = PAIR.model_copy(update={"item_hash": "long", "second_text": "river " * 600})
    heard = Silent()
    said = judge(order(PAIR, long), heard)
    assert [each.item_hash for each in said] == ["h"]
    assert any("1 of 2 pairs" in text for text in heard.lines)


def test_a_stopped_judging_goes_on_with_the_pairs_that_are_left(
    order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "AT_ONCE", 2)
    pairs = [PAIR.model_copy(update={"item_hash": f"h{n}", "lang": "en"}) for n in range(5)]
    pairs += [ZH]
    whole = judge(order(*pairs), Silent())
    asked: list[str] = []
    really = judging._judged

    def noting(some: list[Asked], *rest: Any) -> list[Verdict]:
        asked.extend(pair.item_hash for pair in some)
        return really(some, *rest)

    monkeypatch.setattr(judging, "_judged", noting)
    heard = Silent()
    heard.stop = True
    with pytest.raises(Stopped):
        judge(order(*pairs), heard)
    [(count, folder)] = heard.checkpoints
    assert (count, asked) == (2, ["h0", "h1"])
    asked.clear()
    later = order(*pairs).model_copy(update={"resume_from": folder})
    assert judge(later, Silent()) == whole
    assert asked == ["h2", "h3", "h4", "z"]


@pytest.mark.parametrize("what", ["other pairs", "a damaged file"])
def test_a_checkpoint_that_does_not_fit_is_said_so_and_not_used(order, what: str) -> None:
    heard = Silent()
    heard.stop = True
    with pytest.raises(Stopped):
        judge(order(PAIR, ZH), heard)
    [(_, folder)] = heard.checkpoints
    if what == "a damaged file":
        (folder / VERDICTS).write_text("{}", "utf-8")
    pairs = (PAIR, ZH) if what == "a damaged file" else (ZH,)
    again = Silent()
    said = judge(order(*pairs).model_copy(update={"resume_from": folder}), again)
    assert [each.item_hash for each in said] == [pair.item_hash for pair in pairs]
    assert any("judged anew" in line for line in again.lines)
