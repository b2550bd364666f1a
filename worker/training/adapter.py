"""The adapter before the first step and after the last: drawn from a seed, saved, reloaded."""

from collections.abc import Mapping
from typing import Any

import torch
from peft import LoraConfig, PeftModel, PeftModelForCausalLM, TaskType
from peft.tuners.lora import LoraLayer
from torch import Tensor

from shared.errors import NoOp, NotFinite, RankTooLarge, ReloadMismatch
from shared.specs import Teaching, TrainingSpec
from worker.checkpoints import (
    attach_adapter,
    detach_adapter,
    linear_targets,
    logit_change,
    probe_logits,
    save_adapter,
)
from worker.training.batches import seed_of
from worker.training.place import Place

#: By module, the factors (b, a) of an update b·a with every scale folded in.
Start = Mapping[str, tuple[Tensor, Tensor]]

#: Share of the largest logit by which a reloaded adapter may differ (a GPU may sum otherwise).
_RELOAD_TOLERANCE = 1e-4


def fresh_adapter(model: Any, parameters: TrainingSpec | Teaching, base: str) -> PeftModel:
    """The base with a new adapter on it, drawn from the job's seed alone; it changes nothing yet.

    Raises InvalidSpec for a target module the base lacks, RankTooLarge.
    """
    config = LoraConfig(
        r=parameters.rank,
        lora_alpha=parameters.alpha,  # pyright: ignore[reportArgumentType]  # floats work too
        lora_dropout=parameters.dropout,
        target_modules=linear_targets(model, parameters.target_modules),
        task_type=TaskType.CAUSAL_LM,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(parameters.seed, 0))
        adapted = PeftModelForCausalLM(model, config)
    layers: list[Any] = [part for part in adapted.modules() if isinstance(part, LoraLayer)]
    width = min(min(layer.in_features, layer.out_features) for layer in layers)
    if parameters.rank > width:
        detach_adapter(adapted)
        raise RankTooLarge(rank=parameters.rank, base=base, width=width)
    return adapted


def put_start(adapted: PeftModel, start: Start) -> int:
    """Give the modules of a fresh adapter the updates of `start`; returns how many got one.

    Where an update's rank is below the adapter's, the rest of its fresh factors stays as drawn, so
    that it can still learn.
    """
    found = 0
    for name, layer in adapted.get_base_model().named_modules():
        if isinstance(layer, LoraLayer) and name in start:
            factors: Any = layer
            b, a = start[name]
            with torch.no_grad():
                factors.lora_A["default"].weight[: len(a)] = a
                factors.lora_B["default"].weight[:, : len(a)] = b / factors.scaling["default"]
            found += 1
    return found


def target_modules(adapted: PeftModel) -> list[str]:
    """Names of the modules that the adapter changes, as in its config, in order."""
    config: Any = adapted.peft_config["default"]
    return sorted(config.target_modules)


def publish(adapted: PeftModel, place: Place, steps: int) -> float:
    """Save the adapter to `place.out`, reload it from disk; return how far it moves the logits.

    Takes the adapter off the base. Raises NotFinite, NoOp, ReloadMismatch.
    """
    trained = probe_logits(adapted)
    if not trained.isfinite().all():
        raise NotFinite(what="a logit", where=f"step {steps}, after its update")
    change = logit_change(adapted)
    if change == 0:
        raise NoOp(why=f"after {steps} steps the adapter moves no logit of its base.")
    save_adapter(adapted, place.out, place.base.name)
    again = attach_adapter(detach_adapter(adapted), place.out, name=place.out.name)
    difference = float((probe_logits(again) - trained).abs().max())
    detach_adapter(again)
    if not difference <= _RELOAD_TOLERANCE * float(trained.abs().max()):
        raise ReloadMismatch(difference=f"{difference:.3g}")
    return change
