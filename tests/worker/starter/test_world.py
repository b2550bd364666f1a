"""The starter world: the same from the same seed, both languages, and held-out items held out."""

from collections import Counter
from pathlib import Path

import pytest

from shared.alpaca import read_rows
from shared.benchmarks import read_benchmark
from shared.starter.world import World
from shared.templates import language_of
from worker.starter.files import Sizes, write_benchmarks, write_datasets
from worker.starter.prose import documents

SIZES = Sizes(documents=400, rows=300, prompts=200, items=60)
SHAPES = {"understanding": "choice", "summarisation": "generate", "continuation": "continuation"}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one small world."""
    folder = tmp_path_factory.mktemp("kit")
    write_datasets(World(0), SIZES, folder)
    write_benchmarks(World(0), SIZES, folder)
    return folder


def seen_in_training(kit: Path) -> set[str]:
    """Every text an adapter or a refresh may read."""
    names = ("starter-mixed", "starter-prompts")
    rows = [row for name in names for row in read_rows(kit / f"{name}.jsonl")]
    return {row["input"] or row["instruction"].split("\n")[-1] for row in rows}


def test_the_same_seed_writes_the_same_files_and_another_seed_others(
    kit: Path, tmp_path: Path
) -> None:
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        write_datasets(World(seed), SIZES, tmp_path / str(seed))
    again, other = (tmp_path / f"{seed}" / "starter-en.jsonl" for seed in (0, 1))
    assert again.read_bytes() == (kit / "starter-en.jsonl").read_bytes()
    assert other.read_bytes() != again.read_bytes()


@pytest.mark.parametrize(("name", "language"), [("starter-en", "en"), ("starter-zh", "zh")])
def test_training_rows_are_valid_and_in_their_language(kit: Path, name: str, language: str) -> None:
    rows = read_rows(kit / f"{name}.jsonl")
    assert len(rows) == SIZES.rows
    assert {language_of(row["instruction"] + row["output"]) for row in rows} == {language}


@pytest.mark.parametrize("skill", SHAPES)
def test_benchmarks_are_valid_bilingual_and_without_copies(kit: Path, skill: str) -> None:
    benchmark = read_benchmark(kit / f"starter-{skill}.jsonl")
    assert benchmark.shape == SHAPES[skill]
    assert Counter(item.lang for item in benchmark.items) == {"en": 60, "zh": 60}
    assert not benchmark.duplicates


def test_no_benchmark_item_was_trained_on(kit: Path) -> None:
    seen = seen_in_training(kit)
    texts = [text for _, text in documents(World(0), SIZES.documents)]
    for skill, shape in SHAPES.items():
        for item in read_benchmark(kit / f"starter-{skill}.jsonl").items:
            asked = getattr(item, "context" if shape == "continuation" else "prompt")
            told = asked.split("\n")[-1]
            assert told not in seen
            assert not any(told in text for text in texts)


def test_labels_of_the_choices_are_balanced(kit: Path) -> None:
    items = read_benchmark(kit / "starter-understanding.jsonl").items
    places = Counter(item.answer for item in items)  # type: ignore[union-attr]
    assert max(places.values()) < 0.5 * len(items)
