"""A base with LoRA linears of our own on it; PEFT's format is what goes in and what comes out."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from worker.around import AroundBase
from worker.checkpoints import attach_adapter, detach_adapter, probe_logits
from worker.training.dora import DoraLinear
from worker.training.lora import Gate, LoraLinear
from worker.training.whole import Whole

_SLOT = "default"


class Adapted(AroundBase):
    """The base with its adapters on it; behaves as the base does and can be told to be it."""

    def __init__(self, base: Any, config: LoraConfig, layers: dict[str, LoraLinear], gate: Gate):
        super().__init__(base)
        self.config = config
        self._layers = layers
        self._whole: dict[str, Whole] = {}
        self.gate = gate

    @classmethod
    def of(cls, *adapted: PeftModel) -> "Adapted":
        """Take over PEFT's adapters and leave PEFT; several of one shape train side by side.

        All of them must lie on one base; each but the first is only read.
        """
        found = [_layers_of(each) for each in adapted]
        config: Any = copy(adapted[0].peft_config[_SLOT])
        base = detach_adapter(adapted[0])
        gate = Gate()
        layers = {
            name: _own(base.get_submodule(name), [each[name] for each in found], gate)
            for name in found[0]
        }
        for name, layer in layers.items():
            base.set_submodule(name, layer)
        return cls(base, config, layers, gate).eval()

    @property
    def offset(self) -> int:
        """Tokens that stand before every text."""
        return 0

    @property
    def prefix(self) -> None:
        """Keys and values that stand before every text."""
        return

    def before(self, lines: int) -> dict[str, Any]:
        """What a model is called with beside its texts."""
        return {}

    @property
    def layers(self) -> dict[str, LoraLinear]:
        """The adapted modules by their path in the base."""
        return self._layers

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Inside, the base answers alone."""
        self.gate.on = False
        try:
            yield
        finally:
            self.gate.on = True

    def begin_with(self, factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Begin with the updates s·B·A of these (b, a) by module, and take them off again for good.

        What is published has twice the rank and the same scale.
        """
        for name, (b, a) in factors.items():
            self._layers[name].take_off(a, b)
        config: Any = self.config
        config.lora_alpha *= math.sqrt(2) if config.use_rslora else 2
        config.r *= 2

    def train_whole(self, names: Sequence[str]) -> None:
        """Train a copy of each of these modules too; PEFT's modules_to_save."""
        for name in names:
            self._whole[name] = Whole(self.base.get_submodule(name), self.gate)
            self.base.set_submodule(name, self._whole[name])
        self.config.modules_to_save = list(names) or None

    def state(self, job: int = 0) -> dict[str, Tensor]:
        """One job's weights under PEFT's names, on the CPU."""
        found = {}
        for name, layer in self._layers.items():
            a, b = (part[job].detach().cpu() for part in layer.factors())
            found[f"base_model.model.{name}.lora_A.weight"] = a.contiguous()
            found[f"base_model.model.{name}.lora_B.weight"] = b.T.contiguous()
            if isinstance(layer, DoraLinear):
                lengths = layer.m[job].detach().cpu()
                found[f"base_model.model.{name}.lora_magnitude_vector"] = lengths
        for name, module in self._whole.items():
            for part, value in module.parts().items():
                found[f"base_model.model.{name}.{part}"] = value.detach().cpu()
        return found

    def fixed(self) -> dict[str, Tensor]:
        """What is not trained and yet belongs to a checkpoint, by name."""
        starts = ("start_a", "start_b")
        named = self.named_buffers()
        return {name: each for name, each in named if name.rsplit(".", 1)[-1] in starts}

    def reload(self, folder: Path) -> Tensor:
        """The probe's logits with the adapter in `folder` on the base, by plain PEFT.

        This adapter is off the base then.
        """
        again = attach_adapter(self.remove(), folder, name=folder.name)
        logits = probe_logits(again)
        detach_adapter(again)
        return logits

    def remove(self) -> Any:
        """Take the adapters off; returns the base as it was."""
        for name, part in (self._layers | self._whole).items():
            self.base.set_submodule(name, part.base)
        return self.base


def _layers_of(adapted: PeftModel) -> dict[str, Any]:
    modules = adapted.get_base_model().named_modules()
    return {name: part for name, part in modules if isinstance(part, LoraLayer)}


def _own(base: nn.Module, layers: Sequence[Any], gate: Gate) -> LoraLinear:
    a = torch.stack([layer.lora_A[_SLOT].weight.detach().float() for layer in layers])
    b = torch.stack([layer.lora_B[_SLOT].weight.detach().float().T for layer in layers])
    b = b.contiguous()
    dropout = getattr(layers[0].lora_dropout[_SLOT], "p", 0.0)
    scale = layers[0].scaling[_SLOT]
    if not layers[0].use_dora[_SLOT]:
        return LoraLinear(base, a, b, scale, gate, dropout)
    assert isinstance(base, nn.Linear)
    lengths = [layer.lora_magnitude_vector[_SLOT].weight.detach().float() for layer in layers]
    return DoraLinear(base, a, b, scale, gate, dropout, torch.stack(lengths))
