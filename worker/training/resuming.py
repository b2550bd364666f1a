"""Training checkpoints: written whole or not at all, continued only where nothing has changed.

They hold no random state: what is random is a function of the seed and the step (see batches).
"""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from shared.errors import ResumeRefused
from shared.storage import damage, seal, sync_folder

_TENSORS, _STATE = "state.safetensors", "state.json"
_MOMENTS = ("exp_avg", "exp_avg_sq")
_DRAFT = ".tmp-"
#: Checkpoints kept; the older one is for a crash of the disk under the newer.
KEPT = 2


@dataclass
class Standing:
    """How far a training is; what continues it beside the weights."""

    #: Steps done.
    step: int = 0
    #: Mean losses of the last few steps, nats a label.
    losses: list[float] = field(default_factory=list)
    #: Tokens and labels seen, and seconds spent in steps, over all attempts.
    tokens: int = 0
    labels: int = 0
    seconds: float = 0.0


def save(
    folder: Path,
    standing: Standing,
    weights: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    identity: dict[str, Any],
) -> Path:
    """Write checkpoint `folder/step-N`, synced and renamed into place; keep the newest KEPT."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step-{standing.step:08d}"
    draft = folder / (_DRAFT + name)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    # Not save_file: that makes the file unreadable for other users, who share the store.
    (draft / _TENSORS).write_bytes(safetensors.torch.save(_tensors(weights, optimiser)))
    state = {"standing": asdict(standing), "identity": identity}
    (draft / _STATE).write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")
    seal(draft)
    shutil.rmtree(folder / name, ignore_errors=True)
    draft.rename(folder / name)
    sync_folder(folder)
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old)
    return folder / name


def resume(
    checkpoint: Path,
    weights: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    identity: dict[str, Any],
) -> Standing:
    """Put a checkpoint's numbers into the weights and the optimiser; say how far it was.

    Raises ResumeRefused naming what differs between its identity and this one, or what of its
    files is damaged.
    """
    _require_whole(checkpoint)
    state = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    if changed := _differences(state["identity"], identity):
        raise ResumeRefused(what=", ".join(changed))
    saved = safetensors.torch.load_file(checkpoint / _TENSORS)
    step = torch.tensor(float(state["standing"]["step"]))
    moments: dict[int, dict[str, Tensor]] = {}
    with torch.no_grad():
        for number, (name, weight) in enumerate(weights.items()):
            weight.copy_(saved[f"weight/{name}"])
            own = {moment: saved[f"{moment}/{name}"] for moment in _MOMENTS}
            moments[number] = {"step": step.clone(), **own}
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": moments, "param_groups": groups})
    return Standing(**state["standing"])


def _tensors(
    weights: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    tensors = {}
    for name, weight in weights.items():
        tensors[f"weight/{name}"] = weight.detach()
        for moment in _MOMENTS:
            tensors[f"{moment}/{name}"] = optimiser.state[weight][moment]
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def _require_whole(checkpoint: Path) -> None:
    if damaged := damage(checkpoint):
        raise ResumeRefused(what=damaged)


def _differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    # Through JSON, as the checkpoint went: a tuple is a list there.
    now = json.loads(json.dumps(now))
    names = sorted(then.keys() | now.keys())
    return [
        f"{name} ({then.get(name)} -> {now.get(name)})"
        for name in names
        if then.get(name) != now.get(name)
    ]
