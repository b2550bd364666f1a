"""Orders for the fusion engine, and dense references that share nothing with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear
from torch import Tensor
from transformers import AutoModelForCausalLM

from shared.orders import AdapterFiles, BaseFiles, WorkOrder
from shared.specs import FusionSpec


def base_files(folder: Path, name: str = "") -> BaseFiles:
    """A base as an order names it; the fingerprint is its folder."""
    return BaseFiles(name=name or folder.name, location=str(folder), fingerprint=str(folder))


def fusion_order(
    params: Mapping[str, Any],
    adapters: Mapping[str, Path],
    trained_on: Path,
    folder: Path,
    *,
    host: Path | None = None,
    **more: Any,
) -> WorkOrder:
    """An order to fuse `adapters` (name -> folder), all trained on one base."""
    spec = FusionSpec.model_validate(
        {
            "name": "fused", "adapters": list(adapters), "params": dict(params),
            "host_base": host.name if host else "",
        }
    )  # fmt: skip
    donor_base = base_files(trained_on)
    return WorkOrder(
        job_id="job", epoch=1, spec=spec, folder=folder,
        base=base_files(host) if host else donor_base,
        adapters=[
            AdapterFiles(name=name, folder=path, base=donor_base)
            for name, path in adapters.items()
        ],
        **more,
    )  # fmt: skip


def load(base: Path, adapter: Path | None = None) -> Any:
    """The base in fp32, with the adapter attached by plain PEFT."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    return PeftModel.from_pretrained(model, str(adapter)).eval() if adapter else model


def deltas(base: Path, adapter: Path) -> dict[str, Tensor]:
    """PEFT's own dense update of each module, fp64."""
    return {
        name.removeprefix("base_model.model."): part.get_delta_weight("default").detach().double()
        for name, part in load(base, adapter).named_modules()
        if isinstance(part, Linear)
    }


def dense_sum(parts: Sequence[Mapping[str, Tensor]], weights: Sequence[float]) -> dict[str, Tensor]:
    """The weighted sum of dense updates over the union of their modules."""
    total: dict[str, Tensor] = {}
    for part, weight in zip(parts, weights, strict=True):
        for name, delta in part.items():
            total[name] = total.get(name, torch.zeros_like(delta)) + weight * delta
    return total


def with_added(base: Path, updates: Mapping[str, Tensor]) -> Any:
    """The base with dense updates added to its weights, fp32."""
    model = load(base)
    with torch.no_grad():
        for name, update in updates.items():
            model.get_submodule(name).weight += update.float()
    return model


def logits(model: Any, length: int = 16) -> Tensor:
    """Logits for three fixed rows of tokens."""
    rows = torch.arange(3 * length).reshape(3, length) * 7 % 250 + 4
    with torch.no_grad():
        return model(input_ids=rows).logits


def relative(found: Tensor, wanted: Tensor) -> float:
    """‖found - wanted‖ / ‖wanted‖."""
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())
