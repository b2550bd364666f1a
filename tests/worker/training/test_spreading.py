"""When a base is spread over the cards of a crew, and what each of them holds then."""

from pathlib import Path
from typing import Any

import pytest
import torch

from orders_of import base_files
from shared.specs import TrainingSpec
from tiny_bases import make_llama
from worker.checkpoints import load_base, probe_logits
from worker.training import spreading
from worker.training.compiling import layers_of
from worker.training.crew import Crew
from worker.training.room import as_run
from worker.training.spreading import load_spread, wants_spreading
from worker.training.together import together

SPEC: dict[str, Any] = {"name": "a", "base_model": "b", "dataset": "d", "precision": "fp32"}


class Two(Crew):
    """One of two."""

    size = 2


def wanted(base: Path, crew: Crew, **spec: Any) -> bool:
    asked = TrainingSpec.model_validate(SPEC | spec)
    return wants_spreading(asked, base_files(base), "cpu", 0, crew)


def test_a_base_is_spread_where_asked_for_or_where_it_would_not_fit(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wanted(tiny_llama, Two(), spread="on")
    assert not wanted(tiny_llama, Crew(), spread="on")
    assert not wanted(tiny_llama, Two())
    monkeypatch.setattr(spreading, "free_bytes", lambda device: 1 << 30)
    assert wanted(tiny_llama, Two())
    assert not wanted(tiny_llama, Crew())
    assert not wanted(tiny_llama, Two(), spread="off")
    for other in ({"tuning": "dora"}, {"tuning": "full"}, {"start": "pissa"}, {"base_bits": "4"}):
        assert not wanted(tiny_llama, Two(), **other)
    monkeypatch.setattr(spreading, "free_bytes", lambda device: None)
    assert not wanted(tiny_llama, Two())


def test_memory_is_predicted_for_the_rows_that_one_process_has() -> None:
    spec = TrainingSpec.model_validate(SPEC | {"batch_size": 16})
    rows = [as_run(spec, "cpu", *how).micro_batch_size for how in ((0, 1), (0, 3), (1, 2), (9, 2))]
    assert rows == [16, 6, 4, 1]
    few = spec.model_copy(update={"micro_batch_size": 2})
    assert as_run(few, "cpu", 0, 2).micro_batch_size == 2


# Python 3.12 warns of any fork beside threads; these processes compute on one.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_each_process_holds_its_part_of_every_layer_and_answers_as_the_whole_base_does(
    tmp_path: Path,
) -> None:
    base = make_llama(tmp_path / "base")
    model, _ = load_base(base_files(base), "cpu", "fp32")
    whole = {name: weight.numel() for name, weight in layers_of(model)[0].named_parameters()}
    there = probe_logits(model)

    def work(crew: Crew) -> tuple[dict[str, int], torch.Tensor]:
        model, _ = load_spread(base_files(base), "cpu", "fp32", crew)
        here = probe_logits(model)
        weights: Any = layers_of(model)[0].named_parameters()
        return {name: weight.to_local().numel() for name, weight in weights}, here

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    held, here = together(2, "cpu", work)
    torch.set_num_threads(threads)
    assert held == {name: numbers // 2 for name, numbers in whole.items()}
    assert torch.equal(here, there)
