"""A checkpoint's weights, one file at a time: pickles and safetensors in, safetensors out."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from shared.errors import BadBase, both

#: Pickles that trainers leave beside a model's.
_NOT_WEIGHTS = ("training_args", "optimizer", "scheduler", "rng_state", "scaler", "trainer_state")
INDEX_NAME = "model.safetensors.index.json"


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights, in order; safetensors where there are any.

    Raises BadBase where there are none, or where one that the index names is missing.
    """
    for kind in ("safetensors", "bin"):
        found = [
            path
            for path in sorted(folder.glob(f"*.{kind}"))
            if not path.name.startswith(_NOT_WEIGHTS)
        ]
        named: set[str] = set()
        for index in folder.glob(f"*.{kind}.index.json"):
            named |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if missing := sorted(named - {path.name for path in found}):
            problem = both(f"{missing[0]} is missing", f"缺少 {missing[0]}")
            raise BadBase(location=str(folder), problem=problem)
        if found:
            return found
    problem = both(
        "it holds no weights (*.bin, *.safetensors)", "其中没有权重（*.bin、*.safetensors）"
    )
    raise BadBase(location=str(folder), problem=problem)


def read_weights(path: Path) -> dict[str, Tensor]:
    """A file's tensors by name, on the CPU. A pickle is read by torch's reader of tensors alone:
    it runs no code, and what holds more is refused. Raises BadBase."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return _unpickled(path)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, OSError) as wrong:
        first = (str(wrong).splitlines() or [repr(wrong)])[0]
        problem = both(
            f"{path.name} holds something else than tensors, or is cut short ({first[:80]})",
            f"{path.name} 含有张量以外的内容，或不完整（{first[:80]}）",
        )
        raise BadBase(location=str(path.parent), problem=problem) from None


class Writer:
    """Shards of a model in a folder, and their index."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._map: dict[str, str] = {}
        self._bytes = 0

    @property
    def names(self) -> set[str]:
        """Every weight written so far."""
        return set(self._map)

    def write(self, number: int, weights: dict[str, Tensor]) -> None:
        """The shard of that number, counted from 1; an empty one is left out."""
        if not weights:
            return
        name = f"model-{number:05}-of-{self._count:05}.safetensors"
        # Clones: weights may share memory, which the format does not know.
        held = {key: value.detach().clone().contiguous() for key, value in weights.items()}
        save_file(held, self._folder / name, {"format": "pt"})
        # The library writes for its user alone; a base is shared.
        (self._folder / name).chmod(0o644)
        self._map |= dict.fromkeys(held, name)
        self._bytes += sum(value.nbytes for value in held.values())

    def close(self) -> None:
        """Write the index."""
        index = {"metadata": {"total_size": self._bytes}, "weight_map": self._map}
        text = json.dumps(index, indent=2, sort_keys=True)
        (self._folder / INDEX_NAME).write_text(text + "\n", encoding="utf-8")


def _unpickled(path: Path) -> dict[str, Tensor]:
    found: Any = torch.load(path, map_location="cpu", weights_only=True)
    return dict(_tensors(found.get("state_dict", found)))


def _tensors(found: Any) -> Iterator[tuple[str, Tensor]]:
    if not isinstance(found, dict):
        raise pickle.UnpicklingError(f"a {type(found).__name__}")
    for name, value in found.items():
        if isinstance(value, Tensor):
            yield str(name), value
