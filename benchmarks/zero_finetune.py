"""Samples instead of fine-tuning: five arms on the same items of three real tasks.

`python -m benchmarks.zero_finetune --models FOLDER --data FOLDER [--base llama-23m] [--items 500]
[--steps 200] [--samples 4] [--device cpu] [--out FOLDER] [--tasks ...] [--quick] [--json]`.

The knowledge base of a task holds the very rows its adapter is trained on, so both have the same
information. Arms: the base; the base with random samples (what the format alone gives); with
retrieved ones; the adapter; the adapter with retrieved ones. Tasks: `sst2_en` and `tnews_zh`
(choice, their `_train` files) and `short_en` (generate: Alpaca rows with short answers, held-out
ones asked). Differences are paired by item, with 95 % intervals. --out keeps adapters and results.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import result, show
from shared.evaluations import EvaluationPart, read_result
from shared.metrics import primary_metric
from shared.orders import AdapterFiles, BaseFiles, DataFile, WorkOrder
from shared.retrieval import Sample, write_samples
from shared.specs import EvaluationSpec, TrainingSpec
from shared.statistics import compare, estimate, sample
from shared.storage import file_sha256
from worker.evaluation import evaluate
from worker.reporting import Silent
from worker.training import train

ADAPTER = "adapter"
#: Rows to learn from, in weights or as samples.
ROWS = 2000


@dataclass(frozen=True)
class Task:
    """What is learned and what is asked."""

    name: str
    lang: str
    max_new_tokens: int
    rows: list[dict[str, str]]
    items: list[dict[str, Any]]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


def _shuffled(rows: list[Any]) -> list[Any]:
    rows = list(rows)
    random.Random(17).shuffle(rows)
    return rows


def _choice(name: str, lang: str) -> Callable[[Path, int], Task]:
    def build(data: Path, items: int) -> Task:
        folder = data / "understanding"
        taught = [
            {"instruction": row["prompt"], "input": "",
             "output": row["choices"][row["answer"]].strip()}
            for row in _shuffled(_lines(folder / f"{name}_train.jsonl"))[:ROWS]
        ]  # fmt: skip
        return Task(name, lang, 8, taught, _shuffled(_lines(folder / f"{name}.jsonl"))[:items])

    return build


def _short(data: Path, items: int) -> Task:
    """Alpaca rows whose question and answer are short."""
    rows = json.loads((data / "instruct" / "alpaca_en.json").read_text("utf-8"))
    chosen = _shuffled(
        [
            row for row in rows
            if 0 < len(row["output"].strip()) < 60 and len(row["instruction"] + row["input"]) < 160
        ]
    )[: ROWS + items]  # fmt: skip
    asked = [
        {"id": f"s{number}", "lang": "en", "references": [row["output"]],
         "prompt": f"{row['instruction']}\n{row['input']}".strip()}
        for number, row in enumerate(chosen[:items])
    ]  # fmt: skip
    taught = [
        {"instruction": f"{row['instruction']}\n{row['input']}".strip(), "input": "",
         "output": row["output"]}
        for row in chosen[items:]
    ]  # fmt: skip
    return Task("short_en", "en", 24, taught, asked)


TASKS: dict[str, Callable[[Path, int], Task]] = {
    "sst2_en": _choice("sst2_en", "en"),
    "tnews_zh": _choice("tnews_zh", "zh"),
    "short_en": _short,
}


def _file(path: Path, rows: Sequence[Any]) -> DataFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return DataFile(name=path.stem, path=path, sha256=file_sha256(path))


def adapter(
    task: Task, base: BaseFiles, steps: int, device: str, folder: Path
) -> tuple[Path, float]:
    """The adapter trained on the task's rows, and the seconds that took; kept in the folder."""
    record = folder / "seconds.json"
    if not record.is_file():
        began = time.perf_counter()
        spec = TrainingSpec(
            name=ADAPTER, base_model=base.name, dataset=task.name, rank=16, alpha=32,
            learning_rate=1e-3, max_steps=steps, batch_size=16, max_length=192,
            checkpoint_every=1_000_000,
        )  # fmt: skip
        order = WorkOrder(
            job_id="train", epoch=1, spec=spec, base=base, device=device, folder=folder,
            dataset=_file(folder / f"{task.name}_train.jsonl", task.rows),
        )  # fmt: skip
        order.out.mkdir(parents=True, exist_ok=True)
        train(order, Silent())
        record.write_text(json.dumps(time.perf_counter() - began))
    return folder / "out", json.loads(record.read_text())


def scored(
    task: Task, base: BaseFiles, made: Path, samples: int, device: str, folder: Path
) -> list[EvaluationPart]:
    """The five arms on the task's items; kept in the folder."""
    out = folder / "out"
    if not (out / "evaluation.json").is_file():
        known = folder / "samples.jsonl"
        benchmark = _file(folder / f"{task.name}.jsonl", task.items)
        write_samples(known, (
            Sample(id=f"r{number}", since=1, lang=task.lang, **row)
            for number, row in enumerate(task.rows)
        ))  # fmt: skip
        spec = EvaluationSpec(
            name="zero", base_model=base.name, adapters=[ADAPTER], benchmarks=[task.name],
            knowledge="rows@1", samples=samples, max_new_tokens=task.max_new_tokens,
        )  # fmt: skip
        order = WorkOrder(
            job_id="evaluate", epoch=1, spec=spec, base=base, device=device, folder=folder,
            adapters=[AdapterFiles(name=ADAPTER, folder=made, base=base)],
            benchmarks=[benchmark], knowledge=DataFile(name="rows@1", path=known, sha256=""),
        )  # fmt: skip
        evaluate(order, Silent())
    return read_result(out).parts


def table(task: Task, parts: Sequence[EvaluationPart]) -> list[dict[str, Any]]:
    """A row an arm: its score and its paired difference to the base, with intervals."""
    metric = primary_metric(parts[0].shape)
    rows = {part.arm: sorted(part.items, key=lambda item: item.item_hash) for part in parts}
    found = {arm: sample(items, metric) for arm, items in rows.items()}
    table = []
    for part in parts:
        own, against = estimate(found[part.arm]), compare(found["base"], found[part.arm])
        shown = [len(item.samples) for item in part.items]
        table.append({
            "task": task.name, "arm": part.arm, "n": own.n, metric.name: own.value,
            "95 %": f"{own.low:.3f} .. {own.high:.3f}",
            "minus base": against.value, "95 % of it": f"{against.low:+.3f} .. {against.high:+.3f}",
            "samples": sum(shown) / len(shown), "leaks": part.engine.get("leaks", 0),
            "seconds": part.engine["seconds"],
        })  # fmt: skip
    return table


def retrieval_gain(parts: Sequence[EvaluationPart]) -> str:
    """Retrieved minus random samples on the base, with its interval."""
    metric = primary_metric(parts[0].shape)
    by_arm = {part.arm: sorted(part.items, key=lambda item: item.item_hash) for part in parts}
    found = compare(sample(by_arm["base+random"], metric), sample(by_arm["base+retrieved"], metric))
    return f"{found.value:+.3f}[{found.low:+.3f},{found.high:+.3f}]"


def main() -> None:
    """Train, score, print, end with RESULT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", default="llama-23m")
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--quick", action="store_true", help="16 items and 4 steps")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    items, steps = (16, 4) if asked.quick else (asked.items, asked.steps)
    base = BaseFiles(
        name=asked.base, location=str(asked.models / asked.base), fingerprint=asked.base
    )
    figures: dict[str, float | int | str] = {}
    with tempfile.TemporaryDirectory() as passing:
        for name in asked.tasks:
            task = TASKS[name](asked.data, items)
            folder = (asked.out or Path(passing)) / f"{name}-{items}-{steps}-{asked.samples}"
            made, seconds = adapter(task, base, steps, asked.device, folder / "train")
            parts = scored(task, base, made, asked.samples, asked.device, folder / "evaluate")
            rows = table(task, parts)
            title = f"{name}: {len(task.rows):,} rows, adapter trained in {seconds:.0f} s"
            show(title, rows, as_json=asked.json)
            for row in rows[1:]:
                figures[f"{name}.{row['arm']}"] = f"{row['minus base']:+.3f}"
            figures[f"{name}.retrieved-random"] = retrieval_gain(parts)
    result(**figures)


if __name__ == "__main__":
    main()
