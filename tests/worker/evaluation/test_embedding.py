"""Samples found by the base's own hidden states: exact, the same each time, kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from shared.retrieval import Vectors
from worker.evaluation.embedding import LONGEST, embedded, kept
from worker.evaluation.reading import Reader

TEXTS = ["The river runs to the sea.", "", "天空", "The quick brown fox jumps."]


@pytest.fixture
def base(tiny_llama: Path) -> tuple[Any, Reader]:
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    return model, Reader(AutoTokenizer.from_pretrained(tiny_llama), "plain", "it", 512, 1)


def test_a_vector_is_the_mean_of_the_last_hidden_states(base: tuple[Any, Reader]) -> None:
    model, reader = base
    together = embedded(model, reader, TEXTS, 4096)
    for text, row in zip(TEXTS, together, strict=True):
        if not text:
            assert not row.any()
            continue
        ids = torch.tensor([reader.ids(text)])
        with torch.no_grad():
            states = model(ids, output_hidden_states=True).hidden_states[-1][0]
        assert row == pytest.approx(states.mean(0).numpy(), abs=1e-5)
    assert embedded(model, reader, TEXTS, 1) == pytest.approx(together, abs=1e-5)


def test_of_a_long_text_the_beginning_and_the_end_count(base: tuple[Any, Reader]) -> None:
    model, reader = base
    words = "river " * LONGEST
    one, other = (embedded(model, reader, [f"{words}{middle}{words}"], 4096) for middle in "AB")
    assert one == pytest.approx(other, abs=1e-6)
    assert embedded(model, reader, [f"A {words}"], 4096) != pytest.approx(one, abs=1e-6)


def test_search_is_exact_and_the_older_of_equal_samples_goes_first() -> None:
    draw = np.random.default_rng(0)
    rows = draw.standard_normal((500, 16)).astype(np.float32)
    rows[400] = 2 * rows[7]
    questions = draw.standard_normal((70, 16)).astype(np.float32)
    questions[3] = rows[7]
    found = list(Vectors(rows).search(questions, 5))
    for question, hits in zip(questions, found, strict=True):
        cosine = rows @ question / np.linalg.norm(rows, axis=1) / np.linalg.norm(question)
        best = np.sort(cosine)[::-1][:5]
        assert [score for _, score in hits] == pytest.approx(best, abs=1e-5)
    assert {place for place, _ in found[3][:2]} == {7, 400}
    ties = Vectors(np.ones((6, 2), dtype=np.float32))
    [hits] = ties.search(np.ones((1, 2), dtype=np.float32), 3)
    assert [place for place, _ in hits] == [0, 1, 2]
    assert len(next(iter(Vectors(rows[:2]).search(questions[:1], 9)))) == 2


def test_vectors_are_kept_beside_the_revision_for_the_same_base_only(tmp_path: Path) -> None:
    revision, made = tmp_path / "abc.jsonl", []

    def make() -> np.ndarray:
        made.append(1)
        return np.full((2, 3), len(made), dtype=np.float32)

    for base, count in (("one", 1), ("one", 1), ("two", 2), ("one", 1)):
        assert kept(revision, base, "torch.float32", make)[0, 0] == count
    assert len(made) == 2
    # Where nothing can be kept the vectors are made again.
    assert kept(tmp_path / "none" / "abc.jsonl", "one", "fp32", make)[0, 0] == 3
