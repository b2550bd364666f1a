"""Arms with samples: what goes before an item, what must not, and how arms are named and paired."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from shared.evaluations import EvaluationPart, read_result
from shared.orders import AdapterFiles, BaseFiles, DataFile, WorkOrder
from shared.retrieval import Sample, write_samples
from shared.specs import EvaluationSpec
from tiny_bases import write_adapter
from worker.evaluation import evaluate
from worker.evaluation.reading import Reader
from worker.reporting import Silent

LANDS = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Egypt": "Cairo", "Peru": "Lima"}
ITEMS = [
    {"id": land, "prompt": f"Name the capital of {land} now.", "choices": [city, "Oslo"],
     "answer": 0, "lang": "en"}
    for land, city in LANDS.items()
]  # fmt: skip
TEXTS = [{"id": "t", "context": "The river runs", "continuation": " to the sea.", "lang": "en"}]
SAMPLES = [
    Sample(id=f"s{n}", since=2, lang="en", instruction=f"The capital of {land}?", output=city)
    for n, (land, city) in enumerate(LANDS.items())
] + [
    Sample(id="leak", since=3, lang="en", instruction=ITEMS[0]["prompt"], output="Paris"),
    Sample(id="zh", since=3, lang="zh", instruction="说 capital France", output="巴黎"),
]


@pytest.fixture
def evaluated(tmp_path: Path, tiny_llama: Path):
    """Runs an evaluation with a knowledge base; returns its parts by (arm, benchmark)."""

    def run(**spec: Any) -> dict[tuple[str, str], EvaluationPart]:
        adapter = write_adapter(tiny_llama, tmp_path / "own")
        files = []
        for name, rows in (("quiz", ITEMS), ("text", TEXTS)):
            path = tmp_path / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            files.append(DataFile(name=name, path=path, sha256=name))
        write_samples(tmp_path / "samples.jsonl", SAMPLES)
        base = BaseFiles(name="tiny", location=str(tiny_llama), fingerprint="f")
        asked = {
            "name": "c", "base_model": "tiny", "adapters": ["own"], "benchmarks": ["quiz", "text"],
            "knowledge": "facts@3", "samples": 2,
        } | spec  # fmt: skip
        order = WorkOrder(
            job_id="j", epoch=1, spec=EvaluationSpec.model_validate(asked), base=base,
            adapters=[AdapterFiles(name="own", folder=adapter, base=base)], benchmarks=files,
            folder=tmp_path / "a1",
            knowledge=DataFile(name="facts@3", path=tmp_path / "samples.jsonl", sha256=""),
        )  # fmt: skip
        evaluate(order, Silent())
        return {(part.arm, part.benchmark): part for part in read_result(order.out).parts}

    return run


def test_the_arms_answer_the_same_items_with_and_without_samples(evaluated) -> None:
    parts = evaluated()
    quiz = ("base", "own", "base+random", "base+retrieved", "own+retrieved")
    assert set(parts) == {(arm, "quiz") for arm in quiz} | {("base", "text"), ("own", "text")}
    hashes = [[row.item_hash for row in parts[arm, "quiz"].items] for arm in quiz]
    assert all(each == hashes[0] for each in hashes)
    plain, told = parts["base", "quiz"], parts["base+retrieved", "quiz"]
    assert all(row.samples == [] for row in plain.items)
    assert [row.values["margin"] for row in plain.items] != [
        row.values["margin"] for row in told.items
    ]
    for place, row in enumerate(told.items):
        assert len(row.samples) == 2
        assert f"s{place}@2" in row.samples
    # The sample that asks what the first item asks may stand before others, not before that one.
    assert told.items[0].samples[-1] == "s0@2"
    assert "leak@3" not in told.items[0].samples
    assert any("leak@3" in row.samples for row in told.items)
    assert told.engine["leaks"] >= 1
    assert told.engine["knowledge"] == "facts@3"
    assert parts["own+retrieved", "quiz"].items[0].samples == told.items[0].samples
    used = {version for part in parts.values() for row in part.items for version in row.samples}
    assert "zh@3" not in used


def test_only_the_arms_that_were_asked_for_run(evaluated) -> None:
    parts = evaluated(knowledge_arms=["adapter+random"])
    assert {arm for arm, _ in parts} == {"base", "own", "own+random"}
    assert {len(row.samples) for row in parts["own+random", "quiz"].items} == {2}


def test_samples_that_do_not_fit_are_left_out_whole_the_least_similar_first(
    tiny_llama: Path,
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    prompt = ITEMS[0]["prompt"]

    def shown(tokens: int, limit: int | None = None) -> tuple[list[int], list[str]]:
        reader = Reader(
            tokenizer, "auto", "quiz", limit, 8, {prompt: SAMPLES[:3]}, example_tokens=tokens
        )
        return reader.prompt(prompt, "en", 4), reader.shown.get(prompt, [])

    plain, none = shown(0)
    every, versions = shown(1000)
    assert none == []
    assert versions == ["s0@2", "s1@2", "s2@2"]
    text = tokenizer.decode(every)
    assert text.index("France") < text.index("Italy") < text.index("Japan")
    assert shown(len(every) - len(plain) - 1)[1] == ["s1@2", "s2@2"]
    # What the base can read holds too: nothing is cut from the left.
    ids, versions = shown(1000, limit=len(every) + 4 - 1)
    assert versions == ["s1@2", "s2@2"]
    assert len(ids) <= len(every) - 1
    assert ids[: len(plain) // 3] == plain[: len(plain) // 3]


def test_samples_may_be_found_by_the_bases_own_vectors(evaluated, tmp_path: Path) -> None:
    by_words = evaluated()[("base+retrieved", "quiz")]
    found = evaluated(search="vectors")
    part = found[("base+retrieved", "quiz")]
    assert part.engine["search"] == "vectors"
    assert list(tmp_path.glob("samples.*.npy"))
    for row in part.items:
        assert len(row.samples) == 2
        # Neither the sample in the other language nor, before its own question, the leak.
        assert "zh@3" not in row.samples
        assert row.item_id != "France" or "leak@3" not in row.samples
    assert part.engine["leaks"] >= 1
    assert [row.samples for row in part.items] != [row.samples for row in by_words.items]
    again = evaluated(search="vectors")[("base+retrieved", "quiz")]
    assert again.items == part.items
    # What is drawn at random does not depend on the search.
    assert found[("base+random", "quiz")].items == evaluated()[("base+random", "quiz")].items
