"""Writing canonical factors as an adapter folder that plain PEFT loads."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor
from torch.nn.functional import pad

from worker.fusion.canonical import CONFIG, PREFIX, WEIGHTS
from worker.fusion.factors import Factors
from worker.fusion.tensor_file import TensorFile


class PeftFolder:
    """An adapter folder filled module by module; complete when its `with` block ends.

    Scales are folded into the factors, so alpha = r everywhere; modules of another rank than
    the commonest are named in rank_pattern and alpha_pattern.
    """

    def __init__(
        self,
        folder: Path,
        modules: Iterable[str],
        base: str,
        *,
        fan_in_fan_out: bool = False,
        uniform: int = 0,
        biased: bool = False,
        saved: Sequence[str] = (),
    ) -> None:
        """`modules`: every module that may be added; fewer may come.

        `uniform`: a rank that smaller updates are filled up to with zeros; 0 leaves each its own.
        `biased`: every module has a bias too (PEFT's lora_bias). `saved`: parameters of whole
        modules that will be added.
        """
        self._uniform = uniform
        self._biased = biased
        self._saved = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in saved))
        self._folder = folder
        self._base = base
        self._fan_in_fan_out = fan_in_fan_out
        self.ranks: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        names = [_key(module, half) for module in modules for half in "AB"]
        names += [_bias_key(module) for module in modules if biased]
        names += [PREFIX + name for name in saved]
        self._tensors = TensorFile(folder / WEIGHTS, names)

    def __enter__(self) -> Self:
        self._tensors.__enter__()
        return self

    def add(self, module: str, factors: Factors, bias: Tensor | None = None) -> None:
        """Write one module's update, of a rank of at least 1, and its bias (zero where None)."""
        if missing := max(0, self._uniform - factors.rank):
            factors = Factors(pad(factors.b, (0, missing)), pad(factors.a, (0, 0, 0, missing)))
        self.ranks[module] = factors.rank
        self._tensors.add(_key(module, "A"), factors.a)
        self._tensors.add(_key(module, "B"), factors.b)
        if self._biased:
            self._tensors.add(
                _bias_key(module), factors.b.new_zeros(len(factors.b)) if bias is None else bias
            )

    def add_saved(self, name: str, value: Tensor) -> None:
        """Write a parameter of a whole saved module, e.g. `lm_head.weight`."""
        self._tensors.add(PREFIX + name, value)

    @property
    def rank(self) -> int:
        """The largest rank written."""
        return max(self.ranks.values(), default=0)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        wrong: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tensors.__exit__(kind, wrong, trace)
        if kind is None:
            text = json.dumps(self._config(), indent=2, ensure_ascii=False)
            (self._folder / CONFIG).write_text(text + "\n", encoding="utf-8")

    def _config(self) -> dict[str, Any]:
        (common, _), *_ = Counter(self.ranks.values()).most_common() or [(1, 0)]
        others = {module: rank for module, rank in self.ranks.items() if rank != common}
        return {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": self._base,
            "inference_mode": True,
            "r": common,
            "lora_alpha": common,
            "lora_dropout": 0.0,
            "target_modules": list(self.ranks),
            "rank_pattern": others,
            "alpha_pattern": others,
            "fan_in_fan_out": self._fan_in_fan_out,
            "bias": "none",
            "use_rslora": False,
            "use_dora": False,
            "lora_bias": self._biased,
            "modules_to_save": self._saved or None,
        }


def _bias_key(module: str) -> str:
    return f"{PREFIX}{module}.lora_B.bias"


def _key(module: str, half: str) -> str:
    return f"{PREFIX}{module}.lora_{half}.weight"
