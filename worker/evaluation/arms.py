"""Arms: one resident base with every adapter attached, of which one or none is switched on."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from peft import PeftModel

from shared.errors import NoOp, NotFinite
from shared.orders import AdapterFiles
from shared.specs import BASE_ARM
from worker.checkpoints import attach_adapter, logit_change


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
        for adapter in adapters:
            slot = self._slots[adapter.name]
            self.model = attach_adapter(self.model, adapter.folder, name=adapter.name, slot=slot)
            _check_effect(self.model, adapter.name)

    @contextmanager
    def switched_to(self, name: str) -> Iterator[Any]:
        """The model answering as that arm; the base's numbers are those without any adapter."""
        if not isinstance(self.model, PeftModel):
            yield self.model
        elif name == BASE_ARM:
            with self.model.disable_adapter():
                yield self.model
        else:
            self.model.set_adapter(self._slots[name], inference_mode=True)
            yield self.model


def _check_effect(adapted: PeftModel, name: str) -> None:
    """The adapter just attached must change some logit of the probe."""
    change = logit_change(adapted)
    if math.isnan(change):
        raise NotFinite(what="A logit", where=f'the probe of adapter "{name}"')
    if change == 0:
        raise NoOp(why=f'adapter "{name}" loads, but changes no logit of its base.')
