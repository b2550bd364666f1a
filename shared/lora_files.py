"""LoRA factors read from an adapter's folder by numpy alone: no torch, one module at a time."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.adapter_files import CONFIG, WEIGHTS, tensor_table

Array = NDArray[np.float32]
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class Half:
    """Where one factor lies in the file."""

    shape: tuple[int, ...]
    kind: str
    first: int
    last: int


class LoraFile:
    """The factors of an adapter, read when they are asked for; ΔW = B·A with the scale in B.

    Of a DoRA adapter this is the part before the magnitudes, which need the base.
    """

    def __init__(self, name: str, folder: Path) -> None:
        """Reads the tables only. Raises UnsupportedAdapter for a damaged file, OSError for none."""
        self._path = folder / WEIGHTS
        self._config: dict[str, Any] = json.loads((folder / CONFIG).read_text("utf-8"))
        table, start = tensor_table(name, self._path)
        found: dict[str, dict[str, Half]] = {}
        for key, entry in table.items():
            module, _, side = key.rpartition(".lora_")
            if side in ("A", "B") and entry["dtype"] in _TYPES and len(entry["shape"]) == 2:
                first, last = (start + offset for offset in entry["data_offsets"])
                found.setdefault(module, {})[side] = Half(
                    tuple(entry["shape"]), entry["dtype"], first, last
                )
        self._modules = {name: halves for name, halves in found.items() if len(halves) == 2}

    @property
    def modules(self) -> list[str]:
        """Module paths, e.g. `model.layers.3.self_attn.q_proj`."""
        return list(self._modules)

    def shape(self, module: str) -> tuple[int, int]:
        """(out, in) of a module's update."""
        halves = self._modules[module]
        return halves["B"].shape[0], halves["A"].shape[1]

    def factors(self, module: str) -> tuple[Array, Array]:
        """(B, A) of shapes (out, rank) and (rank, in). Raises KeyError."""
        halves = self._modules[module]
        return self._read(halves["B"]) * np.float32(self._scale(module)), self._read(halves["A"])

    def _scale(self, module: str) -> float:
        """alpha / r, or alpha / sqrt(r) for rsLoRA."""
        config = self._config
        rank = self._modules[module]["A"].shape[0]
        alpha = float(_by_pattern(config.get("alpha_pattern"), module, config.get("lora_alpha", 1)))
        return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)

    def _read(self, half: Half) -> Array:
        data = np.memmap(self._path, np.uint8, "r")[half.first : half.last].tobytes()
        values = np.frombuffer(data, _TYPES[half.kind])
        if half.kind == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32).reshape(half.shape)


def _by_pattern(patterns: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """PEFT's rule: the first pattern that matches the module's path or the end of it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
