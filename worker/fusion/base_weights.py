"""Single weights of a base, read from its files without loading the model."""

from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from shared.errors import BadBase, both
from shared.orders import BaseFiles


class BaseWeights:
    """The tensors of a base's safetensors files by name; empty where the files are not here."""

    def __init__(self, base: BaseFiles) -> None:
        self._location = base.location
        self._files: dict[str, Path] = {}
        for path in sorted(Path(base.location).glob("*.safetensors")):
            with safe_open(path, framework="pt") as tensors:
                self._files |= dict.fromkeys(tensors.keys(), path)

    @property
    def at_hand(self) -> bool:
        return bool(self._files)

    def weight(self, module: str) -> Tensor:
        """The weight of a module as stored, fp64. Raises BadBase where the files have none."""
        name = f"{module}.weight"
        if name not in self._files:
            problem = both(f"its files hold no {name}", f"其文件中没有 {name}")
            raise BadBase(location=self._location, problem=problem)
        with safe_open(self._files[name], framework="pt") as tensors:
            return tensors.get_tensor(name).double()
