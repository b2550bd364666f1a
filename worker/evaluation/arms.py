"""Arms: one resident base with every adapter attached; the base alone, adapters together."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from peft import PeftModel

from shared.errors import NoOp, NotFinite, both
from shared.orders import AdapterFiles
from shared.specs import BASE_ARM
from worker.checkpoints import attach_adapter, logit_change, probe_logits
from worker.evaluation.preceded import Preceded
from worker.evaluation.whole_model import whole_model
from worker.kinds import kind_of
from worker.stacked import Stack, stackable

#: Adapters that answer in one pass; more would make its batches of too few items each.
MOST_TOGETHER = 8


class Arms:
    """The base and its adapters, by name; `base` first."""

    def __init__(self, model: Any, tokenizer: Any, adapters: Sequence[AdapterFiles]) -> None:
        """Attach all adapters.

        Raises UnsupportedAdapter for one that does not load in full, NoOp for one that fits
        nothing or changes no logit, NotFinite for one that makes them NaN.
        """
        self.model, self.tokenizer = model, tokenizer
        self.names = [BASE_ARM, *(adapter.name for adapter in adapters)]
        # Adapter names may hold dots, which PEFT's may not.
        self._slots = {adapter.name: f"arm{place}" for place, adapter in enumerate(adapters)}
        #: Arms that are no LoRA of PEFT's: each a model of its own, over the bare base.
        self._apart: dict[str, Any] = {}
        kinds = {adapter.name: kind_of(adapter.folder) for adapter in adapters}
        # While the base is bare.
        for adapter in adapters:
            if kinds[adapter.name] != "lora":
                self._apart[adapter.name] = _apart(model, adapter)
        for adapter in adapters:
            if kinds[adapter.name] != "lora":
                continue
            slot = self._slots[adapter.name]
            self.model = attach_adapter(self.model, adapter.folder, name=adapter.name, slot=slot)
            _check_effect(logit_change(self.model), adapter.name)
        self._stacks: dict[tuple[str, ...], Stack] = {}

    @property
    def ahead(self) -> int:
        """Most tokens that stand before every text of some arm."""
        return max((getattr(each, "tokens", 0) for each in self._apart.values()), default=0)

    def slot(self, name: str) -> str:
        """PEFT's own name of an adapter."""
        return self._slots[name]

    def stackable(self, name: str) -> bool:
        """Whether an adapter can answer together with others."""
        return name not in self._apart and stackable(self.model, self._slots[name])

    def passes(self) -> list[list[str]]:
        """Names of the arms that answer together.

        The base answers alone, as it would without any adapter: in a larger batch its products
        could be rounded otherwise. So does an adapter that cannot be stacked.
        """
        fits = {name: self.stackable(name) for name in self._slots}
        together = [name for name, fit in fits.items() if fit]
        groups = [
            together[start : start + MOST_TOGETHER]
            for start in range(0, len(together), MOST_TOGETHER)
        ]
        return [[BASE_ARM], *groups, *([name] for name, fit in fits.items() if not fit)]

    @contextmanager
    def switched_to(self, *names: str) -> Iterator[tuple[Any, Stack | None]]:
        """The model answering as those arms, and the stack where they are adapters together.

        The base's numbers are those without any adapter.
        """
        if names == (BASE_ARM,) or names[0] in self._apart:
            with self._bare() as base:
                yield self._apart.get(names[0], base), None
        elif all(self.stackable(name) for name in names):
            if names not in self._stacks:
                slots = [self._slots[name] for name in names]
                self._stacks[names] = Stack(self.model, slots)
            stack = self._stacks[names]
            with stack.answering() as model:
                yield model, stack
        else:
            [name] = names
            self.model.set_adapter(self._slots[name], inference_mode=True)
            yield self.model, None

    @contextmanager
    def _bare(self) -> Iterator[Any]:
        """The resident base without any adapter."""
        if not isinstance(self.model, PeftModel):
            yield self.model
            return
        with self.model.disable_adapter():
            yield self.model


def _apart(base: Any, adapter: AdapterFiles) -> Any:
    """A prefix or a whole model, ready to be asked."""
    if kind_of(adapter.folder) == "prefix":
        made: Any = Preceded.of(base, adapter.folder, adapter.name)
    else:
        made = whole_model(base, adapter.folder, adapter.name)
    change = (probe_logits(made) - probe_logits(base)).abs().max()
    _check_effect(float(change), adapter.name)
    return made


def _check_effect(change: float, name: str) -> None:
    """An adapter must change some logit of the probe, by `change`."""
    if math.isnan(change):
        raise NotFinite(what="A logit", where=f'the probe of adapter "{name}"')
    if change == 0:
        raise NoOp(
            why=both(
                f'adapter "{name}" loads, but changes no logit of its base.',
                f"适配器“{name}”可以加载，但没有改变其底座的任何 logit。",
            )
        )
