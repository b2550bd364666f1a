"""The tasks of the transfer study: rows to train on, items to judge by, and prompts in neither."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.alpaca import Row
from shared.orders import DataFile
from shared.storage import file_sha256
from shared.templates import render

#: What no task is about: how much a transfer costs elsewhere is measured on it.
OFF_TASK = "tech_en"


@dataclass(frozen=True)
class Size:
    """How much of everything the study takes."""

    rows: int
    items: int
    generated: int
    steps: int
    batch_size: int
    off_task: int
    learning_rate: float = 1e-3
    precision: str = "auto"
    #: Whether choices are judged by the bits that the right label costs, not by accuracy.
    label_bits: bool = False
    #: Labelled rows of the small budget, the longest dialogue in characters, tokens of an answer.
    few: int = 100
    dialogue: int = 900
    answer: int = 128
    summary: int = 64
    #: Draws of the random control for each seed.
    draws: int = 5


#: Sizes by name. `fit` is what one GPU does in some minutes, `cpu` what two cores do in some hours,
#: `hour` what half a core does in about an hour: ten steps, which is enough for a native gain.
SIZES = {
    "full": Size(rows=2000, items=600, generated=250, steps=300, batch_size=32, off_task=60),
    "fit": Size(rows=1600, items=400, generated=200, steps=150, batch_size=32, off_task=40),
    "cpu": Size(rows=600, items=200, generated=60, steps=80, batch_size=16, off_task=8),
    "hour": Size(rows=40, items=32, generated=12, steps=10, batch_size=4, off_task=2,
                 learning_rate=3e-3, precision="bf16", label_bits=True, few=10, dialogue=450,
                 answer=64, summary=32, draws=2),
    "quick": Size(rows=24, items=8, generated=3, steps=12, batch_size=4, off_task=2),
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One skill; `metric` is what is compared."""

    name: str
    lang: str
    metric: str
    max_new_tokens: int
    max_length: int
    train: list[Row]
    items: list[dict[str, Any]]
    #: The items as rows, for scoring their answers without the evaluation engine.
    held_out: list[Row]


def read_json(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON array or JSON-lines file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _shuffled(rows: list[dict[str, Any]], seed: int = 17) -> list[dict[str, Any]]:
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    return rows


def _labelled(item: dict[str, Any]) -> Row:
    """A choice item as a row that answers with the right choice."""
    label = item["choices"][item["answer"]].strip()
    return {"instruction": item["prompt"], "input": "", "output": label}


def _continued(name: str, lang: str, row: Row) -> dict[str, Any]:
    """A row as an item judged by the bits that its output costs after the prompt."""
    context = render(f"alpaca-{lang}", row["instruction"], row["input"])
    return {"id": name, "lang": lang, "continuation": row["output"], "context": context}


def _choice(name: str, lang: str, train: str, test: str) -> Callable[[Path, Size], Task]:
    def build(data: Path, size: Size) -> Task:
        rows = _shuffled(read_json(data / "understanding" / train))[: size.rows]
        taught = [_labelled(row) for row in rows]
        items = read_json(data / "understanding" / test)[: size.items]
        if size.label_bits:
            held_out = [_labelled(item) for item in items]
            priced = [_continued(f"{name}{n}", lang, row) for n, row in enumerate(held_out)]
            return Task(name, lang, "bits_per_byte", 8, 256, taught, priced, held_out)
        asked = [{"instruction": item["prompt"], "input": "", "output": ""} for item in items]
        return Task(name, lang, "accuracy", 8, 256, taught, items, asked)

    return build


def _summaries(data: Path, size: Size) -> Task:
    rows = _shuffled(read_json(data / "summarisation" / "dialogsum_en_train.jsonl"))
    short = [row for row in rows if len(row["prompt"]) < size.dialogue][: size.rows]
    taught = [
        {"instruction": row["prompt"], "input": "", "output": row["references"][0]} for row in short
    ]
    items = read_json(data / "summarisation" / "dialogsum_en.jsonl")
    items = [item for item in items if len(item["prompt"]) < size.dialogue][: size.generated]
    return Task("summary", "en", "rougeL", size.summary, 400, taught, items, [])


def _answers(data: Path, size: Size) -> Task:
    """Alpaca's answers, judged by the bits the held-out ones cost after their prompt."""
    rows = _shuffled(read_json(data / "instruct" / "alpaca_en.json"))
    rows = [row for row in rows if 20 < len(row["output"]) < 500 and len(row["input"]) < 300]
    taught = [{key: row[key] for key in ("instruction", "input", "output")} for row in rows]
    held_out = taught[-size.items :]
    items = [_continued(f"a{number}", "en", row) for number, row in enumerate(held_out)]
    return Task(
        "answers", "en", "bits_per_byte", size.answer, 256, taught[: size.rows], items, held_out
    )


TASKS: dict[str, Callable[[Path, Size], Task]] = {
    "sentiment": _choice("sentiment", "en", "sst2_en_train.jsonl", "sst2_en.jsonl"),
    "topic_zh": _choice("topic_zh", "zh", "tnews_zh_train.jsonl", "tnews_zh.jsonl"),
    "summary": _summaries,
    "answers": _answers,
}


def write(name: str, rows: list[Any], folder: Path) -> DataFile:
    """A file of rows as an order names it; the same rows give the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jsonl"
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return DataFile(name=name, path=path, sha256=file_sha256(path))


def off_task(data: Path, size: Size) -> list[dict[str, Any]]:
    """Continuation items that no task is about."""
    return read_json(data / "continuation" / f"{OFF_TASK}.jsonl")[: size.off_task]


def files(task: Task, data: Path, size: Size, folder: Path) -> dict[str, DataFile]:
    """Training rows, few of them, benchmark and off-task benchmark of a task."""
    return dict(_files(task, off_task(data, size), size.few, folder / "data"))


def _files(
    task: Task, off: list[dict[str, Any]], few: int, folder: Path
) -> Iterator[tuple[str, DataFile]]:
    yield "train", write(f"{task.name}-train", task.train, folder)
    yield "few", write(f"{task.name}-few", task.train[:few], folder)
    yield "test", write(task.name, task.items, folder)
    yield "off", write(OFF_TASK, off, folder)
