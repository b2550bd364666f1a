"""A base with several adapters on it, each times a weight that may change: Σ w_t·ΔW_t, exactly."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared.errors import EmptyData, UnsupportedAdapter, both
from shared.formats import read_rows
from shared.orders import WorkOrder
from shared.specs.fusion.learned import FromExamples
from worker.checkpoints import load_base
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import frobenius
from worker.fusion.inheritance import inherited
from worker.fusion.same_base import modules_of
from worker.training.batches import Batch, collate
from worker.training.examples import Example, encode

_BATCH = 8


class Mixture:
    """The loss of examples as a function of the adapters' weights, adapter by adapter or module."""

    def __init__(
        self, order: WorkOrder, params: FromExamples, donors: Sequence[CanonicalAdapter]
    ) -> None:
        """Loads the order's base. Raises UnsupportedAdapter for what has no weight, EmptyData."""
        for donor in donors:
            if donor.biased or donor.saved:
                problem = both(
                    f"{params.method} cannot weigh trained biases or saved modules",
                    f"{params.method} 无法为训练过的偏置或整存模块加权",
                )
                raise UnsupportedAdapter(adapter=donor.name, problem=problem)
        self.modules = modules_of(donors)
        self.adapters = len(donors)
        #: Frobenius norm of each adapter's whole update.
        self.sizes = [_size(donor) for donor in donors]
        self._weights = torch.zeros(self.adapters, len(self.modules))
        base = order.base or order.adapters[0].base
        self._model, tokenizer = load_base(base, order.device, "auto")
        examples = _examples(order, params, tokenizer)
        #: How many examples are looked at.
        self.examples = len(examples)
        padding = tokenizer.pad_token_id or 0
        self._batches = _batches(examples, _BATCH, padding, order.device)
        #: One example each: their activations hold no padding.
        self._alone = _batches(examples, 1, padding, order.device)
        for number, module in enumerate(self.modules):
            self._hook(self._model.get_submodule(module), number, module, donors)

    def loss(self, weights: Tensor) -> float:
        """Mean nats a trained token; `weights` is (adapters,) or (adapters, modules).

        Where the weights want a gradient it is added to theirs, batch by batch.
        """
        total, labels = 0.0, sum(len(batch.targets) for batch in self._batches)
        with torch.set_grad_enabled(weights.requires_grad):
            for batch in self._batches:
                wide = weights if weights.dim() == 2 else weights[:, None]
                self._weights = wide.expand(-1, len(self.modules)).to(self._model.device)
                logits = self._model(input_ids=batch.input_ids, use_cache=False).logits
                chosen = logits.flatten(0, 1)[batch.places].float()
                part = functional.cross_entropy(chosen, batch.targets, reduction="sum") / labels
                if weights.requires_grad:
                    part.backward()
                total += float(part.detach())
        return total

    def products(self, adapter: int, modules: Sequence[str]) -> dict[str, Tensor]:
        """XᵀX (in×in, fp64, CPU) of each module's inputs with that adapter alone on the base."""
        found: dict[str, Tensor] = {}
        alone = torch.zeros(self.adapters, len(self.modules))
        alone[adapter] = 1.0
        self._weights = alone.to(self._model.device)

        def note(name: str, inputs: tuple[Tensor, ...]) -> None:
            rows = inputs[0].flatten(0, -2).double()
            found[name] = found.get(name, 0) + (rows.T @ rows).cpu()

        hooks = [
            self._model.get_submodule(name).register_forward_pre_hook(
                lambda _, inputs, name=name: note(name, inputs)
            )
            for name in modules
        ]
        try:
            with torch.no_grad():
                for batch in self._alone:
                    self._model(input_ids=batch.input_ids, use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
        return found

    def _hook(
        self, part: nn.Module, number: int, module: str, donors: Sequence[CanonicalAdapter]
    ) -> None:
        updates = [(t, d.factors(module)) for t, d in enumerate(donors) if module in d.modules]
        place: dict[str, Any] = {"device": self._model.device, "dtype": self._model.dtype}
        a = torch.cat([update.a for _, update in updates]).to(**place)
        b = torch.cat([update.b for _, update in updates], dim=1).to(**place)
        owners = torch.tensor([t for t, update in updates for _ in range(update.rank)])

        def add(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            shares = self._weights[:, number][owners.to(output.device)].to(output.dtype)
            return output + ((inputs[0] @ a.T) * shares) @ b.T

        part.register_forward_hook(add)


def _size(donor: CanonicalAdapter) -> float:
    return math.hypot(*(frobenius(donor.factors(module)) for module in donor.modules))


def _examples(order: WorkOrder, params: FromExamples, tokenizer: Any) -> list[Example]:
    if order.dataset is None:
        raise ValueError(f"{params.method} needs the order's dataset")
    rows = read_rows(order.dataset.path, order.dataset.format)
    rows = rows[: params.rows] if params.rows else rows
    template = str(inherited(order.adapters)["template"])
    examples = encode(rows, tokenizer, template, params.max_length).examples
    if not examples:
        raise EmptyData(file=order.dataset.name)
    return examples


def _batches(examples: Sequence[Example], size: int, padding: int, device: str) -> list[Batch]:
    return [
        collate(examples[first : first + size], padding, device)
        for first in range(0, len(examples), size)
    ]
