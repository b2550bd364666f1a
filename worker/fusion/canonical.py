"""Reading a PEFT LoRA folder as canonical factors: one ΔW = B·A a module, every scale folded in.

The base is never needed and one module is in memory at a time. What plain factors cannot express
(DoRA, biases, whole saved modules, embeddings) is refused with its reason, never dropped.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from shared.errors import UnsupportedAdapter
from worker.fusion.factors import Factors

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
PREFIX = "base_model.model."

#: Settings whose update is not B·A of the module alone, and what each means.
_REFUSED = {
    "use_dora": "DoRA rescales the base's own columns, so its update needs the base",
    "lora_bias": "lora_bias adds trained biases",
    "modules_to_save": "modules_to_save replaces whole modules of the base",
    "trainable_token_indices": "trainable_token_indices replaces rows of the embedding",
    "target_parameters": "target_parameters adapts bare parameters, not modules",
    "layer_replication": "layer_replication changes the base's depth",
    "alora_invocation_tokens": "aLoRA acts only after its invocation tokens",
    "use_qalora": "QA-LoRA pools the input before its factors",
    "use_bdlora": "BD-LoRA stores block-diagonal factors",
    "arrow_config": "Arrow routes between adapters at run time",
    "kasa_config": "KaSA changes the base's weights",
    "monteclora_config": "MonteCLoRA samples its factors",
}
#: Initialisations that leave the base as it is; others (PiSSA, OLoRA, LoftQ, ...) subtract their
#: start from the base's weights, so that B·A alone is not the update.
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True)
class Module:
    """One adapted module as its adapter's files describe it."""

    shape: tuple[int, int]
    rank: int
    #: alpha / r, or alpha / √r for rsLoRA (Kalajdzievski 2023, arXiv 2312.03732).
    scale: float


class CanonicalAdapter:
    """A LoRA adapter's modules in natural order, and the factors of each when asked for."""

    def __init__(self, name: str, folder: Path) -> None:
        """Raises UnsupportedAdapter when the folder holds anything but plain LoRA factors."""
        self.name = name
        self._path = folder / WEIGHTS
        self.config = _read_config(name, folder)
        _refuse_special(name, self.config)
        self.modules = self._describe(_shapes(name, self._path))

    @property
    def fan_in_fan_out(self) -> bool:
        """Whether the base stores these weights transposed (GPT-2's Conv1D)."""
        return bool(self.config.get("fan_in_fan_out"))

    def factors(self, module: str) -> Factors:
        """The update of one module, fp32, its scale in b. Raises UnsupportedAdapter for NaNs."""
        with safe_open(self._path, framework="pt") as tensors:
            b = tensors.get_tensor(_key(module, "B")).float()
            a = tensors.get_tensor(_key(module, "A")).float()
        if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
            raise self._unreadable(f"{module} holds NaN or infinite values")
        return Factors(b * self.modules[module].scale, a)

    def _describe(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Module]:
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for key, shape in shapes.items():
            match = re.fullmatch(rf"{re.escape(PREFIX)}(.+)\.lora_([AB])\.weight", key)
            if match is None:
                raise self._unreadable(f'"{key}" is no LoRA factor of a linear module')
            found.setdefault(match[1], {})[match[2]] = shape
        if not found:
            raise self._unreadable(f"{WEIGHTS} holds no tensors")
        return {name: self._module(name, found[name]) for name in sorted(found, key=natural)}

    def _module(self, name: str, halves: dict[str, tuple[int, ...]]) -> Module:
        if len(halves) < 2:
            (present,) = halves
            missing = "B" if present == "A" else "A"
            raise self._unreadable(f"{name} has lora_{present} but no lora_{missing}")
        a, b = halves["A"], halves["B"]
        if len(a) != 2 or len(b) != 2:
            raise self._unreadable(f"{name} is not a linear module (factors of shape {b} and {a})")
        rank = int(_by_pattern(self.config.get("rank_pattern"), name, self.config.get("r", 0)))
        if not a[0] == b[1] == rank:
            raise self._unreadable(
                f"the factors of {name} have ranks {b[1]} and {a[0]}, {CONFIG} says {rank}"
            )
        alpha = float(
            _by_pattern(self.config.get("alpha_pattern"), name, self.config.get("lora_alpha", rank))
        )
        scale = alpha / (math.sqrt(rank) if self.config.get("use_rslora") else rank)
        if not math.isfinite(scale):
            raise self._unreadable(f"the scale of {name} is not a number (alpha {alpha})")
        return Module(shape=(b[0], a[1]), rank=rank, scale=scale)

    def _unreadable(self, problem: str) -> UnsupportedAdapter:
        return UnsupportedAdapter(adapter=self.name, problem=problem)


def _key(module: str, half: str) -> str:
    return f"{PREFIX}{module}.lora_{half}.weight"


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts layer 2 before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def _by_pattern(patterns: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """PEFT's rule: the first pattern that matches the module's path or the end of it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def _read_config(name: str, folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnsupportedAdapter(adapter=name, problem=f"it holds no {CONFIG}") from None
    except ValueError as wrong:
        problem = f"{CONFIG} is not valid JSON ({wrong})"
        raise UnsupportedAdapter(adapter=name, problem=problem) from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else None
        problem = f"it is of type {kind}; only LORA adapters can be fused"
        raise UnsupportedAdapter(adapter=name, problem=problem)
    return config


def _refuse_special(name: str, config: dict[str, Any]) -> None:
    reasons = [why for setting, why in _REFUSED.items() if config.get(setting)]
    if config.get("bias", "none") != "none":
        reasons.append(f"bias={config['bias']} trained biases of the base")
    start = config.get("init_lora_weights", True)
    if start not in _PLAIN_STARTS:
        reasons.append(f"init_lora_weights={start} changed the base's weights; convert it first")
    if reasons:
        raise UnsupportedAdapter(adapter=name, problem="; ".join(reasons))


def _shapes(adapter: str, path: Path) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape, from the file's table."""
    if not path.is_file():
        problem = f"it holds no {WEIGHTS}"
        pickles = [found.name for found in path.parent.glob("adapter_model.bin")]
        if pickles:
            problem = (
                f"its weights are a pickle ({pickles[0]}), which can run code when opened; "
                "save the adapter again as safetensors"
            )
        raise UnsupportedAdapter(adapter=adapter, problem=problem)
    try:
        with safe_open(path, framework="pt") as tensors:
            names = tensors.keys()
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as wrong:
        problem = f"{WEIGHTS} is damaged ({wrong})"
        raise UnsupportedAdapter(adapter=adapter, problem=problem) from None
