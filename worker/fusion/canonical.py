"""Reading a PEFT LoRA folder as canonical factors: one ΔW = B·A a module, every scale folded in.

One module is in memory at a time, and the base is needed for DoRA alone. What plain factors cannot
express (DoRA, biases, whole saved modules, embeddings) is read where `Accepts` says so and else
refused with its reason, never dropped.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from shared.errors import Both, UnsupportedAdapter, both
from worker.fusion.base_weights import BaseWeights
from worker.fusion.dora import dora_update
from worker.fusion.factors import Factors
from worker.fusion.refusals import REFUSED, refuse_special
from worker.routing import routed

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
PREFIX = "base_model.model."

#: Settings whose update is not B·A of the module alone, and what each means.
#: Ends of the keys of tensors that are no factors.
_EXTRAS = r"lora_B\.bias|lora_magnitude_vector(?:\.weight)?|weight|bias"


@dataclass(frozen=True)
class Module:
    """One adapted module as its adapter's files describe it."""

    shape: tuple[int, int]
    rank: int
    #: alpha / r, or alpha / √r for rsLoRA (Kalajdzievski 2023, arXiv 2312.03732).
    scale: float


@dataclass(frozen=True)
class _Extra:
    """Where an adapter's file holds what is no factor, by module or parameter."""

    magnitudes: dict[str, str] = field(default_factory=dict)
    biases: dict[str, str] = field(default_factory=dict)
    saved: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepts:
    """What a reader can use beside plain factors; the default is nothing."""

    #: The base's weights and the rank a DoRA adapter's update is cut to; 0 refuses DoRA.
    base: BaseWeights | None = None
    dora_rank: int = 0
    #: Trained biases of lora_B.
    biases: bool = False
    #: Whole modules of modules_to_save.
    saved: bool = False

    @property
    def settings(self) -> set[str]:
        """The special settings of an adapter's config that are no obstacle to this reader."""
        dora = self.dora_rank > 0 and self.base is not None and self.base.at_hand
        offered = {"use_dora": dora, "lora_bias": self.biases, "modules_to_save": self.saved}
        return {name for name, taken in offered.items() if taken}


class CanonicalAdapter:
    """A LoRA adapter's modules in natural order, and the factors of each when asked for."""

    def __init__(self, name: str, folder: Path, accepts: Accepts | None = None) -> None:
        """Raises UnsupportedAdapter when the folder holds what `accepts` does not."""
        self.name = name
        self._path = folder / WEIGHTS
        self._accepts = accepts or Accepts()
        self.config = _read_config(name, folder)
        refuse_special(name, self.config, self._accepts.settings)
        if routed(folder):
            raise self._unreadable(REFUSED["arrow_config"])
        self._extra = _Extra()
        self.modules = self._describe(_shapes(name, self._path))
        #: Share of each DoRA module's energy that its conversion dropped, once it was read.
        self.dora_dropped: dict[str, float] = {}

    @property
    def fan_in_fan_out(self) -> bool:
        """Whether the base stores these weights transposed (GPT-2's Conv1D)."""
        return bool(self.config.get("fan_in_fan_out"))

    def factors(self, module: str) -> Factors:
        """The update of one module, fp32, its scale in b. Raises UnsupportedAdapter for NaNs."""
        b = self._tensor(_key(module, "B"), module)
        a = self._tensor(_key(module, "A"), module)
        plain = Factors(b * self.modules[module].scale, a)
        return self._converted(module, plain) if module in self._extra.magnitudes else plain

    def bias(self, module: str) -> Tensor | None:
        """What the module's trained bias adds to its output (out), fp32; None without one."""
        key = self._extra.biases.get(module)
        return self._tensor(key, module) * self.modules[module].scale if key else None

    @property
    def biased(self) -> set[str]:
        """The modules that have a trained bias."""
        return set(self._extra.biases)

    @property
    def saved(self) -> dict[str, tuple[int, ...]]:
        """Parameters of whole saved modules, e.g. `lm_head.weight`, and their shapes."""
        return self._extra.saved

    def saved_parameter(self, name: str) -> Tensor:
        """A parameter of a whole saved module. Raises UnsupportedAdapter for NaNs."""
        return self._tensor(PREFIX + name, name)

    def _tensor(self, key: str, module: str) -> Tensor:
        with safe_open(self._path, framework="pt") as tensors:
            found = tensors.get_tensor(key).float()
        if not torch.isfinite(found).all():
            raise self._unreadable(
                both(f"{module} holds NaN or infinite values", f"{module} 含有 NaN 或无穷大")
            )
        return found

    def _converted(self, module: str, plain: Factors) -> Factors:
        """The DoRA update of the module as plain factors."""
        base = self._accepts.base
        if base is None:
            raise self._unreadable(REFUSED["use_dora"])
        magnitude = self._tensor(self._extra.magnitudes[module], module)
        weight = base.weight(module)
        weight = weight.T if self.fan_in_fan_out else weight
        made = dora_update(plain, magnitude, weight, self.modules[module].rank)
        self.dora_dropped[module] = made.dropped / made.norm**2 if made.norm else 0.0
        return made.factors

    def _describe(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Module]:
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for key, shape in shapes.items():
            match = re.fullmatch(rf"{re.escape(PREFIX)}(.+)\.lora_([AB])\.weight", key)
            if match is not None:
                found.setdefault(match[1], {})[match[2]] = shape
            elif not self._take_extra(key, shape):
                raise self._unreadable(
                    both(
                        f'"{key}" is no LoRA factor of a linear module',
                        f"“{key}”不是线性模块的 LoRA 因子",
                    )
                )
        if not found:
            raise self._unreadable(both(f"{WEIGHTS} holds no tensors", f"{WEIGHTS} 中没有张量"))
        return {name: self._module(name, found[name]) for name in sorted(found, key=natural)}

    def _take_extra(self, key: str, shape: tuple[int, ...]) -> bool:
        """Note a tensor that is no factor; False where it is nothing that may be here."""
        match = re.fullmatch(rf"{re.escape(PREFIX)}(.+?)\.({_EXTRAS})", key)
        if match is None:
            return False
        module, kind = match.groups()
        if kind == "lora_B.bias" and self._accepts.biases and self.config.get("lora_bias"):
            self._extra.biases[module] = key
        elif kind.startswith("lora_magnitude") and self.config.get("use_dora"):
            self._extra.magnitudes[module] = key
        elif self._accepts.saved and any(
            module == name or module.endswith("." + name)
            for name in self.config.get("modules_to_save") or ()
        ):
            self._extra.saved[f"{module}.{kind}"] = shape
        else:
            return False
        return True

    def _module(self, name: str, halves: dict[str, tuple[int, ...]]) -> Module:
        if len(halves) < 2:
            (present,) = halves
            missing = "B" if present == "A" else "A"
            raise self._unreadable(
                both(
                    f"{name} has lora_{present} but no lora_{missing}",
                    f"{name} 有 lora_{present} 却没有 lora_{missing}",
                )
            )
        a, b = halves["A"], halves["B"]
        if len(a) != 2 or len(b) != 2:
            raise self._unreadable(
                both(
                    f"{name} is not a linear module (factors of shape {b} and {a})",
                    f"{name} 不是线性模块（因子形状为 {b} 和 {a}）",
                )
            )
        rank = int(_by_pattern(self.config.get("rank_pattern"), name, self.config.get("r", 0)))
        if not a[0] == b[1] == rank:
            raise self._unreadable(
                both(
                    f"the factors of {name} have ranks {b[1]} and {a[0]}, {CONFIG} says {rank}",
                    f"{name} 的因子秩为 {b[1]} 和 {a[0]}，而 {CONFIG} 写的是 {rank}",
                )
            )
        alpha = float(
            _by_pattern(self.config.get("alpha_pattern"), name, self.config.get("lora_alpha", rank))
        )
        scale = alpha / (math.sqrt(rank) if self.config.get("use_rslora") else rank)
        if not math.isfinite(scale):
            raise self._unreadable(
                both(
                    f"the scale of {name} is not a number (alpha {alpha})",
                    f"{name} 的缩放系数不是数字（alpha {alpha}）",
                )
            )
        if name in self._extra.magnitudes:
            rank = min(self._accepts.dora_rank, b[0], a[1])
        return Module(shape=(b[0], a[1]), rank=rank, scale=scale)

    def _unreadable(self, problem: str | Both) -> UnsupportedAdapter:
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
        problem = both(f"it holds no {CONFIG}", f"其中没有 {CONFIG}")
        raise UnsupportedAdapter(adapter=name, problem=problem) from None
    except ValueError as wrong:
        problem = both(
            f"{CONFIG} is not valid JSON ({wrong})", f"{CONFIG} 不是合法的 JSON（{wrong}）"
        )
        raise UnsupportedAdapter(adapter=name, problem=problem) from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else None
        problem = both(
            f"it is of type {kind}; only LORA adapters can be fused",
            f"其类型为 {kind}；只有 LORA 适配器可以融合",
        )
        raise UnsupportedAdapter(adapter=name, problem=problem)
    return config


def _shapes(adapter: str, path: Path) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape, from the file's table."""
    if not path.is_file():
        problem = both(f"it holds no {WEIGHTS}", f"其中没有 {WEIGHTS}")
        pickles = [found.name for found in path.parent.glob("adapter_model.bin")]
        if pickles:
            problem = both(
                f"its weights are a pickle ({pickles[0]}), which can run code when opened; "
                "save the adapter again as safetensors",
                f"其权重是 pickle（{pickles[0]}），打开时可能执行代码；请另存为 safetensors",
            )
        raise UnsupportedAdapter(adapter=adapter, problem=problem)
    try:
        with safe_open(path, framework="pt") as tensors:
            names = tensors.keys()
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as wrong:
        problem = both(f"{WEIGHTS} is damaged ({wrong})", f"{WEIGHTS} 已损坏（{wrong}）")
        raise UnsupportedAdapter(adapter=adapter, problem=problem) from None
