"""Evaluation end to end on tiny bases: arms, files, and what no setting may change."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from judged import CHOICES, CONTINUATIONS, FILES, GENERATES, adapters, order, rows_of
from shared.errors import BadData, BadRows
from shared.evaluations import read_result
from shared.halves import half_of
from shared.templates import render
from tiny_bases import write_adapter
from worker.evaluation import evaluate
from worker.reporting import Silent

__all__ = ["adapters", "order"]


class Reference:
    """The same numbers from transformers and peft alone: one row a text, every logit."""

    def __init__(self, base: Path, adapter: Path | None) -> None:
        model: Any = AutoModelForCausalLM.from_pretrained(base)
        self.model = PeftModel.from_pretrained(model, str(adapter)) if adapter else model
        self.model.eval()
        self.tokenizer = AutoTokenizer.from_pretrained(base)

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def likelihood(self, before: list[int], after: list[int]) -> float:
        start = [self.tokenizer.bos_token_id, *before]
        with torch.inference_mode():
            logits = self.model(input_ids=torch.tensor([start + after])).logits[0]
        logs = logits.double().log_softmax(-1)
        return sum(logs[len(start) + n - 1, token].item() for n, token in enumerate(after))

    def choices(self, item: dict[str, Any]) -> list[float]:
        prompt = self.ids(render("auto", item["prompt"], lang=item["lang"]))
        return [self.likelihood(prompt, self.ids(text.strip())) for text in item["choices"]]


def test_every_arm_scores_what_plain_transformers_and_peft_would(order, adapters, tiny_llama):
    result = evaluate(order(adapters=adapters), Silent())
    assert [part.arm for part in result.parts] == ["base", "poet-v1.5", "plain"] * 3
    for arm, folder in {"base": None, **adapters}.items():
        reference = Reference(tiny_llama, folder)
        for item, found in zip(CHOICES, rows_of(result, arm, "quiz"), strict=True):
            values, right = reference.choices(item), item["answer"]
            wrong = max(value for place, value in enumerate(values) if place != right)
            assert found.values["margin"] == pytest.approx(values[right] - wrong, abs=1e-4)
            assert found.values["accuracy"] == (values[right] > wrong)
            assert found.output == item["choices"][values.index(max(values))].strip()
            sizes = [len(text.strip().encode()) for text in item["choices"]]
            rates = [value / size for value, size in zip(values, sizes, strict=True)]
            assert found.values["accuracy_bytes"] == (rates.index(max(rates)) == right)
        for item, found in zip(CONTINUATIONS[:2], rows_of(result, arm, "text"), strict=False):
            value = reference.likelihood(
                reference.ids(item["context"]), reference.ids(item["continuation"])
            )
            assert found.values["bits"] == pytest.approx(-value / math.log(2), abs=1e-3)
            assert found.values["bytes"] == len(item["continuation"].encode())
        # A token across the cut is scored whole, but the bytes are the continuation's.
        across = reference.likelihood(reference.ids("Paris is"), reference.ids(" small and old."))
        found = rows_of(result, arm, "text")[2].values
        assert found["bits"] == pytest.approx(-across / math.log(2), abs=1e-3)
        assert found["bytes"] == len("all and old.")
        for item, found in zip(GENERATES, rows_of(result, arm, "tell"), strict=True):
            ids = [0, *reference.ids(render("auto", item["prompt"], lang=item["lang"]))]
            made = reference.model.generate(
                input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)).long(),
                max_new_tokens=8, do_sample=False, pad_token_id=2, eos_token_id=1,
            )  # fmt: skip
            text = reference.tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True)
            assert found.output == text.strip()


def test_the_base_arm_is_the_plain_base_bit_for_bit(order, adapters):
    alone = evaluate(order(folder="alone"), Silent())
    beside = evaluate(order(adapters=adapters, folder="beside"), Silent())
    for name in FILES:
        assert rows_of(beside, "base", name) == rows_of(alone, "base", name)
        assert rows_of(beside, "poet-v1.5", name) != rows_of(alone, "base", name)


def test_an_arm_scores_the_same_alone_and_beside_others(order, adapters):
    beside = evaluate(order(adapters=adapters, folder="beside"), Silent())
    only = {"plain": adapters["plain"]}
    alone = evaluate(order(adapters=only, folder="alone"), Silent())
    for name in FILES:
        assert rows_of(beside, "plain", name) == rows_of(alone, "plain", name)


def test_what_is_returned_is_what_lies_in_the_folder(order, adapters):
    made = order(adapters=adapters)
    result = evaluate(made, Silent())
    assert read_result(made.out) == result
    quiz = result.parts[0]
    assert set(quiz.metrics) == {"accuracy", "accuracy_bytes", "margin"}
    assert set(quiz.metrics["accuracy"]) == {"all", "en", "zh"}
    mean = sum(item.values["accuracy"] for item in quiz.items) / 6
    assert quiz.metrics["accuracy"]["all"] == pytest.approx(mean)
    assert [item.item_id for item in quiz.items] == ["q0", "q1", "q2", "q3", "q4", "z"]
    assert rows_of(result, "base", "tell")[1].cluster == "p"
    assert quiz.engine["dtype"] == "float32"
    assert quiz.engine["tokens"] > 0
    assert quiz.benchmark_sha256 == made.benchmarks[0].sha256


def test_a_base_with_a_padded_vocabulary_is_scored_as_it_is(order, tiny_llama, tmp_path):
    """Resizing it to the tokenizer for adapters alone would normalise arms differently."""
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    with torch.random.fork_rng():
        model.resize_token_embeddings(384 + 64, mean_resizing=False)
    padded = tmp_path / "padded"
    model.save_pretrained(padded)
    AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(padded)
    adapter = write_adapter(padded, tmp_path / "adapter")
    result = evaluate(order({"quiz": CHOICES}, adapters={"a": adapter}, base=padded), Silent())
    for arm, folder in {"base": None, "a": adapter}.items():
        for item, found in zip(CHOICES, rows_of(result, arm, "quiz"), strict=True):
            values = Reference(padded, folder).choices(item)
            right = values.pop(item["answer"])
            assert found.values["margin"] == pytest.approx(right - max(values), abs=1e-4)


def test_progress_counts_every_item_of_every_arm(order, adapters):
    report = Silent()
    evaluate(order(adapters=adapters), report)
    assert report.done == (33, 33, "items")
    assert "text · poet-v1.5, plain" in report.phases
    assert report.phases.index("loading base") < report.phases.index("attaching adapters")


def test_neither_batch_size_nor_memory_retries_change_a_score(order):
    def values(folder: str, **how: Any) -> list[float]:
        parts = evaluate(order(folder=folder, **how), Silent()).parts
        return [v for part in parts for row in part.items for v in row.values.values()]

    expected = values("plain")
    assert values("small", batch_tokens=64) == pytest.approx(expected, abs=1e-4)
    assert values("halved", halvings=9) == pytest.approx(expected, abs=1e-4)


def test_the_halves_are_the_whole_and_an_empty_one_is_refused(order):
    # Groups whose digests put them into dev, test and dev.
    rows = [row | {"group": group} for row, group in zip(CHOICES, "abc", strict=False)]
    sides = {row["id"]: half_of("", row["group"]) for row in rows}
    assert set(sides.values()) == {"dev", "test"}
    for half in ("dev", "test"):
        found = evaluate(order({"quiz": rows}, half=half), Silent())
        assert found.parts[0].engine["half"] == half
        asked = [row.item_id for row in rows_of(found, "base", "quiz")]
        assert asked == [name for name, side in sides.items() if side == half]
    other = "dev" if sides["q0"] == "test" else "test"
    with pytest.raises(BadData, match=f"its {other} half is empty"):
        evaluate(order({"quiz": rows[:1]}, half=other), Silent())


def test_the_limit_takes_the_first_items_and_copies_are_left_out_aloud(order):
    report = Silent()
    files = {"quiz": [CHOICES[0], CHOICES[0] | {"id": "again"}, *CHOICES[1:]]}
    result = evaluate(order(files, limit=3), report)
    assert [item.item_id for item in result.parts[0].items] == ["q0", "q1", "q2"]
    assert any("1 rows repeat an earlier one" in line for line in report.lines)


def test_a_broken_benchmark_fails_before_the_base_is_loaded(order):
    report = Silent()
    with pytest.raises(BadRows):
        evaluate(order({"quiz": [CHOICES[0], {"prompt": "x"}]}), report)
    assert report.phases == ["reading benchmarks"]


def test_a_prompt_longer_than_the_base_loses_its_beginning_aloud(order):
    report = Silent()
    long = {"quiz": [CHOICES[0] | {"prompt": "river " * 600}, CHOICES[1]]}
    [part] = evaluate(order(long), report).parts
    assert part.engine["truncated"] == 1
    assert any("1 items are longer than the base reads (512 tokens)" in x for x in report.lines)


def test_an_answer_length_that_leaves_no_prompt_is_refused_by_name(order):
    with pytest.raises(BadData, match=r"tell: an answer of 512 tokens leaves no room"):
        evaluate(order({"tell": GENERATES}, max_new_tokens=512), Silent())


def test_instructions_are_checked_on_the_greedy_answer(order):
    asked = {"prompt": "Name the capital of France.", "lang": "en"}
    checks = [{"kind": "at_most_words", "value": 500}, {"kind": "includes", "value": "zzqzz"}]
    result = evaluate(
        order({
            "obey": [asked | {"checks": checks}, asked | {"checks": checks[:1]}],
            "tell": [asked | {"references": ["Paris"]}],
        }),
        Silent(),
    )  # fmt: skip
    both, one = rows_of(result, "base", "obey")
    assert both.values == {"followed": 0.0, "checks": 0.5}
    assert one.values == {"followed": 1.0, "checks": 1.0}
    assert both.output == one.output == rows_of(result, "base", "tell")[0].output != ""


def test_an_adapter_that_cannot_be_stacked_is_scored_alone_in_its_place(
    order, adapters, tiny_llama, tmp_path
):
    dora = write_adapter(tiny_llama, tmp_path / "dora", use_dora=True, seed=5, scale=0.2)
    named = {"dora": dora, **adapters}
    result = evaluate(order({"quiz": CHOICES}, adapters=named), Silent())
    assert [part.arm for part in result.parts] == ["base", *named]
    assert [part.engine["together"] for part in result.parts] == [1, 1, 2, 2]
    reference = Reference(tiny_llama, dora)
    found = rows_of(result, "dora", "quiz")[0]
    values = reference.choices(CHOICES[0])
    assert found.values["margin"] == pytest.approx(values[0] - max(values[1:]), abs=1e-4)
