"""A frozen base spread over the cards of a crew: each holds its part of every layer's weights.

The parts of a layer are brought together while it computes and let go of again (FSDP, Zhao et al.
2023, arXiv 2304.11277). What lies outside the layers, and all that learns, is whole on every card.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from shared import memory
from shared.orders import BaseFiles
from shared.specs import TrainingSpec
from worker.checkpoints import load_base, resolve_precision
from worker.training.compiling import layers_of
from worker.training.crew import Crew
from worker.training.room import as_run, free_bytes, sizes_of


def wants_spreading(
    spec: TrainingSpec, base: BaseFiles, device: str, halvings: int, crew: Crew
) -> bool:
    """Whether the spec asks for it, or leaves it open and the base would not fit on a card.

    Layers that run twice are the cheaper way to save memory, so that goes first.
    """
    able = spec.tuning in ("lora", "prefix") and (spec.start, spec.base_bits) == ("zero", "full")
    if crew.size == 1 or spec.spread == "off" or spec.compiled or not able:
        return False
    if spec.spread == "on":
        return True
    sizes, free = sizes_of(Path(base.location)), free_bytes(device)
    if sizes is None or free is None:
        return False
    taken = as_run(spec, device, halvings, crew.size)
    if spec.recompute == "auto":
        taken = taken.model_copy(update={"recompute": "on"})
    if not device.startswith("cuda"):
        free //= crew.size
    return memory.predict(taken, sizes) > free >> 20


def load_spread(base: BaseFiles, device: str, precision: str, crew: Crew) -> tuple[Any, Any]:
    """The base, frozen and in eval mode, in parts on the crew's cards, and its tokenizer.

    From here on all processes must make as many passes. One after the other holds the whole base,
    in the host's memory. Raises what `load_base` raises.
    """
    mesh = init_device_mesh(torch.device(device).type, (crew.size,))
    half = resolve_precision(precision, device) is torch.bfloat16
    loaded: tuple[Any, Any] | None = None
    for number in range(crew.size):
        if number == crew.number:
            loaded = load_base(base, "cpu", "bf16" if half else "fp32")
            _spread(loaded[0], mesh, torch.device(device))
        crew.wait()
    assert loaded is not None
    crew.in_step = True
    return loaded


def _spread(model: Any, mesh: Any, device: torch.device) -> None:
    layers = layers_of(model)
    inside = {weight for layer in layers for weight in layer.parameters()}
    outside = {weight for weight in model.parameters() if weight not in inside}
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    for weight in outside:
        weight.data = weight.data.to(device)
    fully_shard(getattr(model, model.base_model_prefix), mesh=mesh, ignored_params=outside)
    for module in model.modules():
        _move_buffers(module, device)


def _move_buffers(module: nn.Module, device: torch.device) -> None:
    for name, buffer in module.named_buffers(recurse=False):
        setattr(module, name, buffer.to(device))
