"""Will a full fine-tuning fit? Asked before the base is loaded: afterwards it would be too late."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig

from shared.errors import DoesNotFit, both
from shared.memory import ACTIVATIONS, FULL_ACTIVATIONS, training_bytes
from shared.orders import BaseFiles
from shared.specs import TrainingSpec
from worker.checkpoints import resolve_precision
from worker.training.full import Full
from worker.training.trainee import Trainee


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a base's files say of it."""

    parameters: int
    layers: int
    hidden_size: int
    vocabulary: int


def require_room(
    base: BaseFiles, device: str, spec: TrainingSpec, halvings: int = 0, processes: int = 1
) -> None:
    """Raise DoesNotFit where the predicted memory is more than the device has free.

    `processes` share the rows of a step; each on a card of its own, or all in the host's memory.
    Does nothing for a base whose files cannot be read: loading it says why.
    """
    sizes = sizes_of(Path(base.location))
    if sizes is None:
        return
    taken = as_run(spec, device, halvings, processes)
    need, free = training_bytes(taken, sizes), free_bytes(device)
    if not device.startswith("cuda"):
        need *= processes
    if free is not None and need > free:
        where = both("the card", "显卡") if device.startswith("cuda") else both("the host", "主机")
        raise DoesNotFit(
            base=base.name, where=where, need=round(need / 2**20), free=round(free / 2**20)
        )


def as_run(spec: TrainingSpec, device: str, halvings: int, processes: int) -> TrainingSpec:
    """The spec with the precision and the most rows in memory that each of the processes has."""
    half = resolve_precision(spec.precision, device) is torch.bfloat16
    rows = min(spec.micro_batch_size or spec.batch_size, math.ceil(spec.batch_size / processes))
    known = {"precision": "bf16" if half else "fp32", "micro_batch_size": max(1, rows >> halvings)}
    return spec.model_copy(update=known)


def is_short(model: Trainee, tokens: int) -> bool:
    """Whether what layers keep of so many tokens is more than the device has free.

    Asked before the first step: gradients and moments of what is trained are still to come, too.
    """
    text = model.base.config.get_text_config()
    free = free_bytes(str(model.device))
    if free is None or not hasattr(text, "num_hidden_layers"):
        return False
    whole = isinstance(model, Full)
    half = model.dtype is not torch.float32
    each = FULL_ACTIVATIONS["bf16" if half else "fp32"] if whole else ACTIVATIONS * (2 - half)
    learned = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    kept = tokens * text.num_hidden_layers * text.hidden_size * each
    return kept + 12 * learned > free


def sizes_of(folder: Path) -> Sizes | None:
    """A base's sizes by its files alone; None where they cannot be read."""
    try:
        text = AutoConfig.from_pretrained(folder, trust_remote_code=False).get_text_config()
        parameters = sum(map(_elements, folder.glob("*.safetensors")))
        return Sizes(
            parameters=parameters, layers=text.num_hidden_layers,
            hidden_size=text.hidden_size, vocabulary=text.vocab_size,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, AttributeError, struct.error):
        return None


def free_bytes(device: str) -> int | None:
    """Memory that nobody uses: of the card, or of the host; None where the system does not say."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return int(found["MemAvailable"].split()[0]) << 10 if "MemAvailable" in found else None


def _elements(path: Path) -> int:
    """Numbers in a safetensors file, by its table."""
    with path.open("rb") as file:
        [length] = struct.unpack("<Q", file.read(8))
        table = json.loads(file.read(length))
    shapes = [entry["shape"] for name, entry in table.items() if name != "__metadata__"]
    return sum(torch.Size(shape).numel() for shape in shapes)
