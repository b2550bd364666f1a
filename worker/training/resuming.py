"""Training checkpoints: written whole or not at all, continued only where nothing has changed.

They hold no random state: what is random is a function of the seed and the step (see batches).
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from shared.errors import ResumeRefused
from shared.storage import damage
from worker.keeping import checkpoint_path, kept

_TENSORS, _STATE = "state.safetensors", "state.json"
_MOMENTS = ("exp_avg", "exp_avg_sq")
#: Checkpoints kept where nobody takes them. A worker that does keeps fewer; one that is gone noted
#: some that must still be there when the job goes on elsewhere.
KEPT = 50


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
    #: The lowest loss of the rows held out, its step, and how many looks there were since.
    best_loss: float | None = None
    best_step: int = 0
    looks_since_best: int = 0


@dataclass
class State:
    """The tensors that a checkpoint holds, and what it must have been written under."""

    weights: dict[str, nn.Parameter]
    #: Not trained, but drawn or computed at the start.
    fixed: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    identity: dict[str, Any]
    #: The weights of the best look at the rows held out; empty before the first.
    best: dict[str, Tensor] = field(default_factory=dict)


def save(folder: Path, standing: Standing, state: State) -> Path:
    """Write checkpoint `folder/step-N`, synced and renamed into place; keep the newest KEPT."""
    with kept(folder, "step", standing.step, most=KEPT) as draft:
        # Not save_file: that makes the file unreadable for other users, who share the store.
        (draft / _TENSORS).write_bytes(safetensors.torch.save(_tensors(state)))
        facts = {"standing": asdict(standing), "identity": state.identity}
        text = json.dumps(facts, indent=1, ensure_ascii=False)
        (draft / _STATE).write_text(text, encoding="utf-8")
    return checkpoint_path(folder, "step", standing.step)


def resume(checkpoint: Path, state: State) -> Standing:
    """Put a checkpoint's numbers into the weights and the optimiser; say how far it was.

    Raises ResumeRefused naming what differs between its identity and this one, or what of its
    files is damaged.
    """
    _require_whole(checkpoint)
    facts = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    if changed := _differences(facts["identity"], state.identity):
        raise ResumeRefused(what=", ".join(changed))
    saved = safetensors.torch.load_file(checkpoint / _TENSORS)
    step = torch.tensor(float(facts["standing"]["step"]))
    moments: dict[int, dict[str, Tensor]] = {}
    with torch.no_grad():
        for name, fixed in state.fixed.items():
            fixed.copy_(saved[f"fixed/{name}"])
        for number, (name, weight) in enumerate(state.weights.items()):
            weight.copy_(saved[f"weight/{name}"])
            own = {moment: saved[f"{moment}/{name}"] for moment in _MOMENTS}
            moments[number] = {"step": step.clone(), **own}
            if f"best/{name}" in saved:
                state.best[name] = saved[f"best/{name}"].to(weight.device)
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": moments, "param_groups": groups})
    return Standing(**facts["standing"])


def _tensors(state: State) -> dict[str, Tensor]:
    tensors = {f"fixed/{name}": tensor for name, tensor in state.fixed.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in state.best.items()}
    for name, weight in state.weights.items():
        tensors[f"weight/{name}"] = weight.detach()
        for moment in _MOMENTS:
            tensors[f"{moment}/{name}"] = state.optimiser.state[weight][moment]
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
