"""The adapter before the first step and after the last: drawn from a seed, saved, reloaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModelForCausalLM, TaskType
from peft.tuners.lora import LoraLayer
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from shared.errors import InvalidSpec, NoOp, NotFinite, RankTooLarge, ReloadMismatch, both
from shared.specs import Learning, TrainingSpec
from shared.specs.tuning import TuningParameters
from worker.checkpoints import (
    detach_adapter,
    linear_targets,
    logit_change,
    probe_logits,
    resolve_precision,
    write_adapter,
)
from worker.training.adapted import Adapted
from worker.training.batches import seed_of
from worker.training.crew import Crew
from worker.training.full import Full
from worker.training.pissa import principal
from worker.training.place import Place
from worker.training.prefix import Prefixed, no_prefix
from worker.training.trainee import Trainee
from worker.training.whole import whole_modules

#: By module, the factors (b, a) of an update b·a with every scale folded in.
Start = Mapping[str, tuple[Tensor, Tensor]]

#: Share of the largest logit by which a reloaded adapter may differ (a GPU may sum otherwise).
_RELOAD_TOLERANCE = 1e-4
#: The same in rounding steps of the base's precision: PEFT multiplies its factors in fp32, our
#: linears in the base's precision, and the difference grows through the layers.
_ROUNDINGS = 16
#: And on a base in 8 bits, which rounds every activation to 1/127 of its row's largest.
_EIGHT_BIT_TOLERANCE = 0.05


def fresh_adapter(model: Any, parameters: TrainingSpec | Learning, base: str) -> Trainee:
    """The base with a new adapter on it, drawn from the job's seed alone; it changes nothing yet.

    Only a prefix is something from the start; with `tuning` full the base itself learns. Raises
    InvalidSpec for a target module the base lacks or a kind it cannot take, RankTooLarge.
    """
    tuning = parameters if isinstance(parameters, TuningParameters) else TuningParameters()
    if tuning.tuning == "full":
        return Full(model, resolve_precision(parameters.precision, model.device.type))
    if tuning.tuning == "prefix":
        if not hasattr(model.config.get_text_config(), "num_attention_heads"):
            raise no_prefix(base)
        return Prefixed(model, tuning.virtual_tokens, seed_of(parameters.seed, 0))
    rank = parameters.rank
    targets = linear_targets(model, parameters.target_modules)
    whole = whole_modules(model, tuning.also_train, base)
    if tuning.tuning == "dora":
        _require_plain_linears(model, targets)
    config = LoraConfig(
        r=parameters.rank,
        lora_alpha=parameters.alpha,  # pyright: ignore[reportArgumentType]  # floats work too
        lora_dropout=parameters.dropout,
        target_modules=targets,
        use_rslora=tuning.scaling == "root",
        use_dora=tuning.tuning == "dora",
        task_type=TaskType.CAUSAL_LM,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(parameters.seed, 0))
        adapted = PeftModelForCausalLM(model, config)
    layers: list[Any] = [part for part in adapted.modules() if isinstance(part, LoraLayer)]
    width = min(min(layer.in_features, layer.out_features) for layer in layers)
    published = 2 * rank if tuning.start == "pissa" else rank
    if published > width:
        detach_adapter(adapted)
        raise RankTooLarge(rank=published, base=base, width=width)
    own = Adapted.of(adapted)
    own.train_whole(whole)
    if tuning.start == "pissa":
        own.begin_with(principal(own, rank, seed_of(parameters.seed, 1)))
    return own


def _require_plain_linears(model: nn.Module, targets: Sequence[str]) -> None:
    """PEFT writes DoRA's lengths for plain linear modules in the layout that is read back."""
    for name, part in model.named_modules():
        if isinstance(part, Conv1D) and any(name.split(".")[-1] == end for end in targets):
            problem = both(
                f"dora needs plain linear modules, and {name} is none; take lora",
                f"dora 需要普通线性模块，而 {name} 不是；请改用 lora",
            )
            raise InvalidSpec(field="tuning", problem=problem)


def put_start(adapted: Adapted, start: Start) -> int:
    """Give the modules of a fresh adapter the updates of `start`; returns how many got one.

    Where an update's rank is below the adapter's, the rest of its fresh factors stays as drawn, so
    that it can still learn.
    """
    found = [name for name in adapted.layers if name in start]
    for name in found:
        layer, (b, a) = adapted.layers[name], start[name]
        with torch.no_grad():
            layer.a[0, : len(a)] = a
            layer.b[0, : len(a)] = b.T / layer.scale
    return len(found)


def target_modules(adapted: Trainee) -> list[str]:
    """Names of the modules that the adapter changes, as in its config, in order."""
    if not isinstance(adapted, Adapted):
        return []
    chosen: Any = adapted.config.target_modules
    return sorted(chosen)


def publish(adapted: Trainee, place: Place, steps: int, crew: Crew) -> float:
    """Save the adapter to `place.out`, reload it from disk; return how far it moves the logits.

    The leader writes; who must keep in step computes along. Takes the adapter off the base.
    Raises NotFinite, NoOp, ReloadMismatch.
    """
    if isinstance(adapted, Full):
        adapted.round()
    trained = probe_logits(adapted)
    if not trained.isfinite().all():
        raise NotFinite(what="a logit", where=f"step {steps}, after its update")
    change = logit_change(adapted)
    if change == 0:
        raise NoOp(
            why=both(
                f"after {steps} steps the adapter moves no logit of its base.",
                f"训练 {steps} 步后，适配器没有改变其底座的任何 logit。",
            )
        )
    if crew.leads:
        _write(adapted, place)
    if crew.in_step:
        crew.wait()
    difference = float((adapted.reload(place.out) - trained).abs().max())
    if not difference <= _tolerance(adapted.base) * float(trained.abs().max()):
        raise ReloadMismatch(
            difference=both(
                f"a logit differs by {difference:.3g} once it is read from disk",
                f"从磁盘重新读取后有 logit 相差 {difference:.3g}",
            )
        )
    return change


def _write(adapted: Trainee, place: Place) -> None:
    if isinstance(adapted, Full):
        adapted.write(place.out, place.base.location)
        return
    write_adapter(place.out, adapted.config, adapted.state(), place.base.name)
    _require_same_weights(place.out, adapted.state())


def _tolerance(base: Any) -> float:
    if getattr(base, "is_loaded_in_8bit", False):
        return _EIGHT_BIT_TOLERANCE
    return max(_RELOAD_TOLERANCE, _ROUNDINGS * torch.finfo(base.dtype).eps)


def _require_same_weights(folder: Path, state: Mapping[str, Tensor]) -> None:
    """In half precision logits cannot tell small mistakes from rounding; the bits of the file can.

    Raises ReloadMismatch.
    """
    written = load_file(folder / SAFETENSORS_WEIGHTS_NAME)
    for name in sorted(written.keys() | state.keys()):
        there, trained = written.get(name), state.get(name)
        if there is None or trained is None or not torch.equal(there, trained.detach().cpu()):
            what = both(f"{name} has other bits in the file", f"文件中的 {name} 与训练结果不同")
            raise ReloadMismatch(difference=what)
