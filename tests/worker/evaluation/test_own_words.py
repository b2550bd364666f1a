"""What the base itself would write, as a measure of what an adapter forgot."""

import json
from pathlib import Path

import torch

from orders_of import base_files
from shared.orders import AdapterFiles, DataFile, WorkOrder
from shared.specs import EvaluationSpec
from shared.statistics import compare, sample
from tiny_bases import write_adapter
from worker.checkpoints import load_base
from worker.evaluation import evaluate
from worker.evaluation.arms import Arms
from worker.evaluation.decoding import Decoding
from worker.evaluation.own_words import beginnings, own_words
from worker.reporting import Silent

QUIZ = {"prompt": "Where?", "choices": ["here", "there"], "answer": 0, "lang": "en"}


def test_beginnings_are_many_different_and_always_the_same() -> None:
    found = beginnings(200)
    assert found == beginnings(200)
    assert len(set(found)) == 400
    assert [language for language, _ in found].count("zh") == 200


def test_an_adapter_that_moves_the_base_far_needs_more_bits_for_its_words(
    tiny_llama: Path, tmp_path: Path
) -> None:
    quiz = tmp_path / "quiz.jsonl"
    quiz.write_text(json.dumps(QUIZ) + "\n")
    base = base_files(tiny_llama)
    scales = {"near": 0.01, "far": 0.5}
    order = WorkOrder(
        job_id="j", epoch=1, base=base, folder=tmp_path / "a1",
        spec=EvaluationSpec(name="c", base_model="tiny", adapters=list(scales),
                            benchmarks=["quiz"], forgetting=12),
        benchmarks=[DataFile(name="quiz", path=quiz, sha256="q")],
        adapters=[
            AdapterFiles(name=name, base=base,
                         folder=write_adapter(tiny_llama, tmp_path / name, scale=scale))
            for name, scale in scales.items()
        ],
    )  # fmt: skip
    order.folder.mkdir()
    parts = [part for part in evaluate(order, Silent()).parts if part.benchmark == "own-words"]
    rows = {part.arm: sample(part.items, "bits_per_byte") for part in parts}
    assert [part.arm for part in parts] == ["base", "near", "far"]
    near, far = (compare(rows["base"], rows[name], draws=500) for name in scales)
    assert far.low > 0
    assert abs(near.value) < far.value / 5
    written = (order.folder / "own-words.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line) for line in written]
    assert {text["lang"] for text in texts} == {"en", "zh"}
    assert all(text["continuation"].strip() for text in texts)


def test_a_base_that_ends_at_once_has_no_words(tiny_llama: Path, tmp_path: Path) -> None:
    arms = Arms(*load_base(base_files(tiny_llama), "cpu", "fp32"), ())
    ends = frozenset(range(arms.model.config.vocab_size))
    with torch.inference_mode():
        how = Decoding(ends=ends, max_new_tokens=4, batch_tokens=512, packed=True)
        assert own_words(arms, 3, how, tmp_path) is None
