"""An adapter's weights read from its folder, and whether they fit the modules they are for."""

from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig
from peft.utils.constants import SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from shared.errors import Both, NoOp, UnsupportedAdapter, both

_LISTED = 4


def read_adapter(folder: Path, name: str) -> tuple[LoraConfig, dict[str, Tensor]]:
    """A LoRA folder's config and weights. Raises UnsupportedAdapter, also for NaNs."""
    if not (folder / SAFETENSORS_WEIGHTS_NAME).is_file():
        problem = both(
            f"it holds no {SAFETENSORS_WEIGHTS_NAME} (pickled weights are not read)",
            f"其中没有 {SAFETENSORS_WEIGHTS_NAME}（不读取 pickle 权重）",
        )
        raise UnsupportedAdapter(adapter=name, problem=problem)
    try:
        config = PeftConfig.from_pretrained(str(folder))
        weights = load_file(folder / SAFETENSORS_WEIGHTS_NAME)
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as wrong:
        raise UnsupportedAdapter(adapter=name, problem=first_line(wrong)) from wrong
    if not isinstance(config, LoraConfig):
        problem = both(f"it is {config.peft_type}, not LoRA", f"它是 {config.peft_type}，不是 LoRA")
        raise UnsupportedAdapter(adapter=name, problem=problem)
    # NaNs make a donor look like one that changes nothing, and an arm like a very bad one.
    if broken := [key for key, value in weights.items() if not torch.isfinite(value).all()]:
        raise UnsupportedAdapter(
            adapter=name,
            problem=both(
                f"{some(broken)} holds NaN or infinite values",
                f"{some(broken)} 含有 NaN 或无穷大",
            ),
        )
    config.inference_mode = True
    return config, weights


def require_a_match(bare: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    """PEFT would load an adapter that fits nothing with a mere warning."""
    modules = {f"base_model.model.{module}" for module, _ in bare.named_modules()}
    if not any(key.split(".lora_")[0] in modules for key in weights):
        named = some(sorted(weights))
        raise NoOp(
            why=both(
                f'none of the {len(weights)} weights of adapter "{name}" ({named}) belongs to a '
                "module of this base.",
                f"适配器“{name}”的 {len(weights)} 个权重（{named}）均不属于此底座的模块。",
            )
        )


def misfit(expected: dict[str, Tensor], weights: dict[str, Tensor]) -> Both | None:
    """Which weights have no place, no value or another shape; None when all fit."""
    shared = sorted(expected.keys() & weights.keys())
    shapes = [
        f"{key}: {list(weights[key].shape)} for a place of {list(expected[key].shape)}"
        for key in shared
        if weights[key].shape != expected[key].shape
    ]
    problems = [
        both(f"{en}: {some(sorted(keys))}", f"{zh}：{some(sorted(keys))}")
        for en, zh, keys in (
            ("weights without a module", "没有对应模块的权重", weights.keys() - expected.keys()),
            ("modules without a weight", "没有权重的模块", expected.keys() - weights.keys()),
            ("other shapes", "形状不同", shapes),
        )
        if keys
    ]
    if not problems:
        return None
    return both("; ".join(p["en"] for p in problems), "；".join(p["zh"] for p in problems))


def some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f", … (+{len(names) - _LISTED})" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def first_line(wrong: Exception) -> str:
    """What an exception says first."""
    return next((line.strip() for line in str(wrong).splitlines() if line.strip()), repr(wrong))
