"""Arrow routing at run time: a stacked adapter whose coordinates each token shares out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from shared.errors import UnsupportedAdapter, both

#: Beside a stacked adapter's weights: how it is routed, and by which directions.
ROUTES, PROTOTYPES = "arrow.json", "arrow.safetensors"


@dataclass(frozen=True)
class Routes:
    """How a stacked adapter's coordinates belong to its experts, module by module."""

    experts: list[str]
    #: Of each module, every expert's rank in order; they add up to the adapter's.
    ranks: dict[str, list[int]]
    top_k: int
    temperature: float

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (folder / ROUTES).write_text(text + "\n", encoding="utf-8")


def routed(folder: Path) -> bool:
    """Whether an adapter folder is to be routed."""
    return (folder / ROUTES).is_file()


def route(adapted: PeftModel, folder: Path, slot: str, name: str) -> None:
    """Make an attached adapter answer routed while it is active; taking it off ends that.

    Raises UnsupportedAdapter for routes that do not fit the adapter.
    """
    try:
        routes = Routes(**json.loads((folder / ROUTES).read_text(encoding="utf-8")))
        prototypes = load_file(folder / PROTOTYPES)
        for module, ranks in routes.ranks.items():
            part: Any = adapted.get_base_model().get_submodule(module)
            factor: nn.Module = part.lora_A[slot]
            if sum(ranks) != part.r[slot]:
                raise ValueError(module)
            factor.register_forward_hook(_Gate(prototypes[module], ranks, routes))
    except (OSError, TypeError, ValueError, KeyError, AttributeError, SafetensorError) as wrong:
        problem = both(
            f"its {ROUTES} and {PROTOTYPES} do not fit its weights ({wrong})",
            f"其 {ROUTES} 与 {PROTOTYPES} 和权重不符（{wrong}）",
        )
        raise UnsupportedAdapter(adapter=name, problem=problem) from wrong


class _Gate:
    """Weighs what each expert reads of a token, as a hook on the stacked first factor.

    The stack holds the experts' mean, so equal shares leave it as it is.
    """

    def __init__(self, prototypes: Tensor, ranks: list[int], routes: Routes) -> None:
        self._prototypes = prototypes
        self._owners = torch.tensor([e for e, rank in enumerate(ranks) for _ in range(rank)])
        self._top_k = min(routes.top_k, len(ranks))
        self._temperature = routes.temperature

    def __call__(self, factor: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = inputs[0]
        if self._prototypes.device != x.device:
            self._prototypes = self._prototypes.to(x.device)
            self._owners = self._owners.to(x.device)
        shares = gates(x, self._prototypes, self._top_k, self._temperature)
        return output * (len(self._prototypes) * shares)[..., self._owners].to(output.dtype)


def gates(x: Tensor, prototypes: Tensor, top_k: int, temperature: float) -> Tensor:
    """(…, experts), fp32: softmax over the `top_k` largest |x·v_t| of each token, 0 elsewhere."""
    fits = (x.float() @ prototypes.float().T).abs()
    best, places = fits.topk(top_k, dim=-1)
    alone = torch.full_like(fits, float("-inf")).scatter(-1, places, best)
    return (alone / temperature).softmax(dim=-1)
