"""The training file and the benchmarks of a filled pool."""

import json
from pathlib import Path
from typing import Any

from sqlmodel import Session

from shared import datasets
from shared.metrics import Shape
from shared.people.actors import Actor

USER = "tester"
TRAINING = "instructions"
BENCHMARKS: dict[str, Shape] = {
    "capitals": "choice",
    "summaries": "generate",
    "endings": "continuation",
}


def add_files(session: Session, folder: Path, items: int) -> None:
    """A training file and a benchmark of each shape, in English and Chinese."""
    rows = [{"instruction": f"Say {n}", "input": "", "output": f"It is {n}."} for n in range(20)]
    rows += [
        {"instruction": f"请说出{n}", "input": "", "output": f"答案是{n}。"} for n in range(10)
    ]
    _register(session, folder, TRAINING, "training", rows)
    makers = {"capitals": _choice, "summaries": _generate, "endings": _continuation}
    for name in BENCHMARKS:
        made = [makers[name](n, "zh" if n % 3 == 0 else "en") for n in range(items)]
        _register(session, folder, name, "benchmark", made)


def _register(session: Session, folder: Path, name: str, kind: Any, rows: list[Any]) -> None:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    datasets.register(session, name, path, kind, actor=Actor.admin(USER))


def _choice(n: int, lang: str) -> dict[str, Any]:
    prompt = f"第{n}题：哪个是首都？" if lang == "zh" else f"Question {n}: which is the capital?"
    choices = [f"City {n}", f"Village {n}"]
    return {"id": f"c{n}", "prompt": prompt, "choices": choices, "answer": n % 2, "lang": lang}


def _generate(n: int, lang: str) -> dict[str, Any]:
    text = f"概括第{n}段。" if lang == "zh" else f"Summarise report {n}."
    reference = f"第{n}段讲天气。" if lang == "zh" else f"Report {n} is about the weather."
    return {"id": f"g{n}", "prompt": text, "references": [reference], "lang": lang}


def _continuation(n: int, lang: str) -> dict[str, Any]:
    context, rest = (f"第{n}天，", "下雨了。") if lang == "zh" else (f"On day {n}", " it rained.")
    return {"id": f"e{n}", "context": context, "continuation": rest, "lang": lang}
