"""A knowledge base of 100,000 samples: how long adding, editing and asking take.

`python -m benchmarks.knowledge_speed [--data FOLDER] [--size 100000] [--queries 500] [--quick]
[--json]`. FOLDER holds Alpaca files (`alpaca_*.json`), repeated with variation until there are
enough; without it rows are made up. The database is a SQLite file of its own, or `--database URL`.
Each edit is one transaction; each question is asked as the dashboard does it, with an index that
stays in the process and that the first question builds. `frozen_equal`: do all questions find the
same in the first revision after the edits as before?
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import result, show
from shared import db, knowledge, schema
from shared.knowledge import Text
from shared.people.actors import Actor
from shared.retrieval import Vectors

NAME = "speed"
K = 4
WORDS = ("river", "stone", "cloud", "green", "winter", "paper", "bridge", "lamp", "wheel", "copper")


def texts(folder: Path | None, size: int) -> list[Text]:
    """That many different samples."""
    rows: list[dict[str, str]] = []
    for path in sorted(folder.glob("alpaca_*.json")) if folder else ():
        found = json.loads(path.read_text(encoding="utf-8"))
        rows += [row for row in found if row["instruction"].strip() and row["output"].strip()]
    chance = random.Random(0)
    made: list[Text] = []
    while len(made) < size:
        place = len(made)
        if rows:
            row, turn = rows[place % len(rows)], place // len(rows)
            more = f" ({chance.choice(WORDS)} {chance.choice(WORDS)} {turn})" if turn else ""
            made.append(Text(row["instruction"], row["output"], row.get("input", "") + more))
        else:
            question = " ".join(chance.choices(WORDS, k=12))
            made.append(Text(f"{question} {place % 997} {place}", f"{place}"))
    return made


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def percentile(seconds: Sequence[float], share: float) -> float:
    """Milliseconds that this share of the calls stayed within."""
    return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))] * 1000


def ask(question: str, revision: int | None = None) -> list[tuple[str, float]]:
    """The samples a question finds, guarded as in an evaluation."""
    with db.reading() as session:
        found = knowledge.query(session, NAME, question, K, revision=revision, guarded=True)
    return [(hit.sample.version, hit.score) for hit in found.hits]


def edit(sample_id: str, place: int) -> None:
    """Another answer to a sample."""
    with db.writing() as session:
        old = knowledge.sample(session, NAME, sample_id)
        text = Text(old.instruction, f"{old.output} (edited {place})", old.input)
        knowledge.edit(session, NAME, sample_id, text, actor=Actor.admin("benchmark"))


def add(place: int) -> None:
    """One more sample, as a user adds it."""
    text = Text(f"A new question, number {place}?", f"A new answer, number {place}.")
    with db.writing() as session:
        knowledge.add(session, NAME, text, actor=Actor.admin("benchmark"))


def measure(folder: Path | None, size: int, queries: int) -> tuple[list[dict[str, Any]], float]:
    """Rows of the table, and the share of questions that a frozen revision answered the same."""
    schema.upgrade()
    given = texts(folder, size)
    with db.writing() as session:
        knowledge.create(session, NAME, actor=Actor.admin("benchmark"))
        start = time.perf_counter()
        added = knowledge.add_many(session, NAME, given, actor=Actor.admin("benchmark"))
    imported = time.perf_counter() - start
    first = timed(lambda: ask(given[0].instruction))
    chance = random.Random(1)
    # Questions near a sample, but not the sample: its words in another order, some left out.
    questions = [_near(chance, chance.choice(given)) for _ in range(queries)]
    before = {question: ask(question, 1) for question in questions}
    asked = [timed(lambda each=each: ask(each)) for each in questions]
    chosen = chance.sample(added.ids, min(100, len(added.ids)))
    edits = [timed(lambda each=each: edit(each, 0)) for each in chosen]
    after_edit = []
    for place, each in enumerate(chosen):
        edit(each, place + 1)
        after_edit.append(timed(lambda: ask(questions[0])))
    adds = [timed(lambda place=place: add(place)) for place in range(100)]
    same = sum(ask(question, 1) == found for question, found in before.items()) / len(before)
    steps = {"query": asked, "query after an edit": after_edit, "edit": edits, "add": adds}
    rows: list[dict[str, Any]] = [
        {"step": f"import of {len(added.ids):,}", "p50 ms": imported * 1000, "p99 ms": None},
        {"step": "first query (builds the index)", "p50 ms": first * 1000, "p99 ms": None},
    ]
    for step, seconds in steps.items():
        p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
        rows.append({"step": step, "p50 ms": p50, "p99 ms": p99})
    return [row | {"per s": _rate(row, len(added.ids))} for row in rows], same


def by_vectors(size: int, queries: int, width: int = 448) -> float:
    """Milliseconds a question of an exact search among random vectors, as an evaluation asks."""
    draw = np.random.default_rng(0)
    known = Vectors(draw.standard_normal((size, width), dtype=np.float32))
    asked = draw.standard_normal((queries, width), dtype=np.float32)
    return timed(lambda: list(known.search(asked, 32))) * 1000 / queries


def _near(chance: random.Random, text: Text) -> str:
    words = f"{text.instruction} {text.input}".split()
    kept = [word for word in words if chance.random() < 0.7] or words
    return " ".join(chance.sample(kept, len(kept)))


def _rate(row: dict[str, Any], imported: int) -> float:
    return (imported if row["step"].startswith("import") else 1) / row["p50 ms"] * 1000


def main() -> None:
    """Measure, print, end with RESULT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with alpaca_*.json")
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--database", help="URL of an empty database; a SQLite file by default")
    parser.add_argument("--quick", action="store_true", help="10,000 samples, 100 questions")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    size, queries = (10_000, 100) if asked.quick else (asked.size, asked.queries)
    with tempfile.TemporaryDirectory() as home:
        os.environ["GRAFT_HOME"] = home
        if asked.database:
            os.environ["GRAFT_DATABASE_URL"] = asked.database
        rows, same = measure(asked.data, size, queries)
    vectors = by_vectors(size, queries)
    rows.append({"step": "query by vectors, 448 wide", "p50 ms": vectors, "p99 ms": None,
                 "per s": 1000 / vectors})  # fmt: skip
    show(f"knowledge base of {size:,} samples", rows, as_json=asked.json)
    steps = {row["step"]: row for row in rows}
    result(
        add_per_s=rows[0]["per s"],
        edit_ms=steps["edit"]["p50 ms"],
        query_ms=steps["query"]["p50 ms"],
        query_p99_ms=steps["query"]["p99 ms"],
        vectors_ms=vectors,
        frozen_equal=json.dumps(same == 1.0),
    )


if __name__ == "__main__":
    main()
