"""Learner: a base with its adapters in training, and the losses of a batch at its labels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.checkpoints import probe_ids, probe_logits
from worker.training.attention import can_pack, packed
from worker.training.batches import Batch, collate, pack
from worker.training.cross_entropy import learning_cross_entropy, linear_cross_entropy
from worker.training.examples import Example
from worker.training.full import Full
from worker.training.trainee import Trainee

#: Tokens of the probe's shorter row.
_SHORT = 9
#: Share of the largest hidden state by which packed and padded rows may differ.
_SAME = {torch.float32: 1e-4, torch.bfloat16: 3e-2}


@dataclass(frozen=True)
class Learner:
    """A base with the adapter in training, and how its losses may be computed."""

    model: Trainee
    #: True where logits are nothing but the output head's product with the hidden states, so that
    #: only those at labels need be computed (some families scale or cap them).
    plain_head: bool
    #: True where rows may lie end to end in one batch: the base was seen to keep them apart.
    packs: bool = False

    @classmethod
    def of(cls, model: Trainee, longest: int = 0) -> "Learner":
        """Look at the model's own numbers to see whether its head is plain and whether it packs.

        `longest`: tokens of the longest row; 0 does not pack.
        """
        with model.disable_adapter():
            learner = cls(model, _has_plain_head(model))
            packs = longest > 0 and can_pack(model.base, longest) and _keeps_rows_apart(learner)
        return cls(model, learner.plain_head, packs)

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Inside, products are in the job's precision.

        An adapter's always are: its factors are cast where they meet the base's.
        """
        with self.model.precision() if isinstance(self.model, Full) else nullcontext():
            yield

    def batch(self, examples: Sequence[Example], padding: int) -> Batch:
        """The examples as they lie in memory: end to end where it is possible and saves padding."""
        even = len({len(example.ids) for example in examples}) == 1
        if self.packs and (self.model.prefix is not None or not even):
            return pack(examples, self.model.device)
        return collate(examples, padding, self.model.device)

    def losses(self, batch: Batch) -> Tensor:
        """(labels,) of -log p(target), in nats, fp32."""
        if self.plain_head:
            head = _head(self.model)
            hidden = self.hidden(batch).flatten(0, 1)[batch.places]
            if not head.weight.requires_grad:
                return linear_cross_entropy(hidden, head.weight, head.bias, batch.targets)
            with self.precision():
                return learning_cross_entropy(hidden, head.weight, head.bias, batch.targets)
        with self._reading(batch):
            logits = self.model.get_base_model()(**self._inputs(batch), use_cache=False).logits
        chosen = logits.flatten(0, 1)[batch.places].float()
        return functional.cross_entropy(chosen, batch.targets, reduction="none")

    def hidden(self, batch: Batch) -> Tensor:
        """(lines, length, width): what the output head reads."""
        bare: Any = self.model.get_base_model()
        decoder = getattr(bare, bare.base_model_prefix)
        with self._reading(batch):
            return decoder(**self._inputs(batch), use_cache=False).last_hidden_state

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        inputs = {"input_ids": batch.input_ids, **self.model.before(len(batch.input_ids))}
        if batch.position_ids is not None:
            inputs["position_ids"] = batch.position_ids + self.model.offset
        return inputs

    @contextmanager
    def _reading(self, batch: Batch) -> Iterator[None]:
        self.model.gate.jobs = batch.jobs
        try:
            with self.precision(), packed(self.model.base, batch.segments, self.model.prefix):
                yield
        finally:
            self.model.gate.jobs = None


def _head(model: Trainee) -> Any:
    return model.get_base_model().get_output_embeddings()


def _has_plain_head(model: Trainee) -> bool:
    head = _head(model)
    if type(head) is not nn.Linear:
        return False
    bare: Any = model.get_base_model()
    ids = probe_ids(model).to(model.device)
    with torch.no_grad():
        decoder = getattr(bare, bare.base_model_prefix)
        ours = head(decoder(input_ids=ids, use_cache=False).last_hidden_state).float().cpu()
    theirs = probe_logits(model)
    return bool((ours - theirs).abs().max() <= 1e-3 * theirs.abs().max())


@torch.no_grad()
def _keeps_rows_apart(learner: Learner) -> bool:
    """Whether rows of unlike length have the same hidden states end to end as one by one."""
    long, other = probe_ids(learner.model).tolist()
    examples = [Example.answering(tuple(long), 1), Example.answering(tuple(other[:_SHORT]), 1)]
    device = learner.model.device
    try:
        together = learner.hidden(pack(examples, device)).flatten(0, 1)
    except (NotImplementedError, TypeError, ValueError):
        return False
    alone = [learner.hidden(collate([each], 0, device)).flatten(0, 1) for each in examples]
    apart = torch.cat(alone)
    if together.shape != apart.shape:
        return False
    return bool((together - apart).abs().max() <= _SAME[learner.model.dtype] * apart.abs().max())
