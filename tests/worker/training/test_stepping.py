"""A step whose numbers are no numbers leaves everything as it was."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModelForCausalLM
from transformers import AutoModelForCausalLM

from shared.errors import NotFinite
from shared.specs import TrainingSpec
from worker.training.adapted import Adapted
from worker.training.batches import Batch
from worker.training.course import Course
from worker.training.examples import Example
from worker.training.learner import Learner
from worker.training.loop import optimiser_of
from worker.training.objectives import sft
from worker.training.resuming import Standing, State
from worker.training.stepping import step


@pytest.mark.parametrize("what", ["the loss", "the gradient"])
def test_weights_and_moments_stay_when_a_number_is_not_finite(what: str, tiny_llama: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = Adapted.of(PeftModelForCausalLM(model, config))
    broken: list[str] = []

    def objective(learner: Learner, batch: Batch) -> Any:
        loss, units, also = sft(learner, batch)
        if broken == ["the loss"]:
            loss = loss * float("nan")
        elif broken:
            loss.register_hook(lambda slope: slope * float("inf"))
        return loss, units, also

    course = Course(
        lessons=[(Example.answering((5, 6, 7, 8), 1),)], objective=objective,
        parameters=TrainingSpec(name="a", base_model="b", dataset="d"), padding=0, micro_batch=1,
        checkpoint_every=100, checkpoints=Path(), resume_from=None, identity={},
    )  # fmt: skip
    weights = {name: each for name, each in adapted.named_parameters() if each.requires_grad}
    state = State(weights, {}, optimiser_of(weights, course), {})
    standing = Standing()
    learner = Learner.of(adapted)
    step(learner, course, state, [0], 1e-3, standing)
    before = {name: each.detach().clone() for name, each in weights.items()}
    moments = deepcopy(state.optimiser.state_dict()["state"])
    broken.append(what)
    with pytest.raises(NotFinite, match=f"{what} became NaN or infinite at step 2"):
        step(learner, course, state, [0], 1e-3, standing)
    assert standing.step == 1
    assert all(torch.equal(each, before[name]) for name, each in weights.items())
    for number, held in state.optimiser.state_dict()["state"].items():
        assert all(torch.equal(value, moments[number][key]) for key, value in held.items())
    broken.clear()
    step(learner, course, state, [0], 1e-3, standing)
    assert not all(torch.equal(each, before[name]) for name, each in weights.items())
