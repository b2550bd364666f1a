"""The starter's data files: training rows, prompts and benchmarks, written from one world."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import LANGUAGES
from shared.starter.skills import MAKERS, benchmark, prompts, rows
from shared.starter.world import World


@dataclass(frozen=True)
class Sizes:
    """How much of everything is written."""

    #: Documents the bases are trained from: a little more than their steps read.
    documents: int = 8_000
    #: Training rows of each language.
    rows: int = 1_600
    #: Prompts of each language, for a refresh.
    prompts: int = 1_200
    #: Items of each language in each benchmark.
    items: int = 150


def write_datasets(world: World, sizes: Sizes, folder: Path) -> list[str]:
    """Write the Alpaca files; returns their names, each `<name>.jsonl` in the folder."""
    by_language = {language: rows(world, language, sizes.rows) for language in LANGUAGES}
    asked = [row for language in LANGUAGES for row in prompts(world, language, sizes.prompts)]
    datasets = {f"starter-{language}": some for language, some in by_language.items()}
    datasets["starter-mixed"] = [row for some in by_language.values() for row in some]
    datasets["starter-prompts"] = asked
    for name, some in datasets.items():
        _write(folder / f"{name}.jsonl", some)
    return list(datasets)


def write_benchmarks(world: World, sizes: Sizes, folder: Path) -> list[str]:
    """Write a benchmark file for each skill; returns their names."""
    for skill in MAKERS:
        _write(folder / f"starter-{skill}.jsonl", benchmark(world, skill, sizes.items))
    return [f"starter-{skill}" for skill in MAKERS]


def _write(path: Path, objects: Iterable[dict[str, Any]]) -> None:
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in objects]
    path.write_text("".join(lines), encoding="utf-8")
