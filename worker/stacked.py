"""Stacked LoRA for inference: N adapters of one base answer the same requests in one pass.

The factors of all adapters lie side by side, padded to one rank with zeros. A batch is `block after
block`, one for each adapter, and each block meets its own factors (as in S-LoRA, arXiv 2311.03285,
but with equal blocks, so that two batched products do and no kernel is needed).

Why this is not `worker.training.lora`: there factors learn, so they are fp32, of one rank and
shape, one autograd node with the frozen product, and stand in for PEFT's modules. Here PEFT's
modules stay, since adapters that cannot be stacked answer through them; ranks and modules differ,
the scale is in B, rows change their order while they are answered, and a hook adds to what the base
has computed.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora.layer import Linear
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from worker.recurrence import keeps_state


def stackable(adapted: PeftModel, slot: str) -> bool:
    """Whether an adapter is plain LoRA on linear modules; others must be switched on alone.

    So must those of a model whose batch is one row (see `keeps_state`).
    """
    if keeps_state(adapted):
        return False
    config = adapted.peft_config[slot]
    if not isinstance(config, LoraConfig) or config.use_dora or config.lora_bias:
        return False
    if config.modules_to_save or config.bias != "none" or config.trainable_token_indices:
        return False
    return all(_plain(part, slot) for part in _layers(adapted, slot).values())


def _plain(part: Any, slot: str) -> bool:
    # A hook on the first factor routes it (Arrow), which the stack would not see.
    if slot in part.lora_A and part.lora_A[slot]._forward_hooks:
        return False
    based_on = type(part) is Linear and isinstance(part.base_layer, nn.Linear | Conv1D)
    return based_on and slot not in part.lora_variant and slot not in part.merged_adapters


def _layers(adapted: PeftModel, slot: str) -> dict[str, Any]:
    """PEFT's modules that hold weights of the adapter, by name."""
    found = {}
    for name, part in adapted.named_modules():
        held = [getattr(part, kind, None) for kind in ("lora_A", "lora_embedding_A")]
        if any(kind is not None and slot in kind for kind in held):
            found[name] = part
    return found


@dataclass
class _Factors:
    """One module's: `a` (N, in, r), `b` (N, r, out) with the scale in it."""

    a: Tensor
    b: Tensor


class Stack:
    """Adapters that answer together; `own` says which one each row of a batch is for."""

    def __init__(self, adapted: PeftModel, slots: Sequence[str]) -> None:
        """Stack adapters that are `stackable` and attached to `adapted` under these slots."""
        self.model = adapted
        self.count = len(slots)
        self._modules = _stacked(adapted, slots)
        #: (rows, N): 1 at each row's adapter. None where rows are N equal blocks in order.
        self._own: Tensor | None = None

    @contextmanager
    def answering(self) -> Iterator[PeftModel]:
        """The model with these adapters in place of PEFT's active one."""
        with ExitStack() as open_, self.model.disable_adapter():
            for part, factors in self._modules:
                hook = part.register_forward_hook(self._adder(factors))
                open_.callback(hook.remove)
            yield self.model

    def blocks(self) -> None:
        """From now on rows are N equal blocks, adapter after adapter."""
        self._own = None

    def rows(self, adapters: Tensor) -> None:
        """From now on row i is for adapter `adapters[i]`, shape (rows,), in whatever order.

        Row -1 is for none of them: the base.
        """
        own = nn.functional.one_hot(adapters.clamp_min(0), self.count)
        self._own = own * (adapters >= 0)[:, None]

    def _adder(self, factors: _Factors) -> Any:
        a, b = factors.a, factors.b
        rank = a.shape[2]
        flat_a, flat_b = a.transpose(0, 1).flatten(1), b.flatten(0, 1)

        def add(_: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
            x, width = given[0], out.shape[-1]
            if self._own is None:
                low = torch.bmm(x.reshape(self.count, -1, x.shape[-1]), a)
                return torch.baddbmm(out.view(self.count, -1, width), low, b).view(out.shape)
            # Every row meets all factors, and all but its own are then put out: two plain
            # products, whatever the rows' order.
            own = self._own.to(x.dtype).repeat_interleave(rank, 1)[:, None]
            low = (x @ flat_a).mul_(own).view(-1, flat_a.shape[1])
            return torch.addmm(out.view(-1, width), low, flat_b).view(out.shape)

        return add


def _stacked(adapted: PeftModel, slots: Sequence[str]) -> list[tuple[nn.Module, _Factors]]:
    """The base's modules that some of the adapters change, each with its factors."""
    layers = [_layers(adapted, slot) for slot in slots]
    found = []
    for name in dict.fromkeys(name for each in layers for name in each):
        part: Any = next(each[name] for each in layers if name in each)
        weight = part.base_layer.weight
        rank = max(each[name].r[slot] for each, slot in zip(layers, slots, strict=True)
                   if name in each)  # fmt: skip
        a = weight.new_zeros(len(slots), part.in_features, rank)
        b = weight.new_zeros(len(slots), rank, part.out_features)
        for place, (each, slot) in enumerate(zip(layers, slots, strict=True)):
            if name in each:
                down, up = part.lora_A[slot].weight.data, part.lora_B[slot].weight.data
                a[place, :, : len(down)] = down.T
                b[place, : len(down)] = (up * part.scaling[slot]).T
        found.append((part.base_layer, _Factors(a, b)))
    return found
