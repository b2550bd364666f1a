"""The objective of delta distillation: the host learns by how much an adapter moves its donor.

At each place of an answer the target is softmax(l_T + strength·(l_S+adapter - l_S)): the host's
own logits l_T moved as the adapter moves the donor's. Emulated fine-tuning and proxy-tuning
(Mitchell et al. 2023, arXiv 2310.12962; Liu et al. 2024, arXiv 2401.08565) do that while decoding;
here the sum is distilled into an adapter of the host, KL(target ‖ host) a place. With target
"donor" it is softmax(l_S+adapter) instead: knowledge distillation (Hinton et al. 2015,
arXiv 1503.02531) on the donor's own answers, for one vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from worker.evaluation.scoring import head_at
from worker.fusion.token_bytes import ends
from worker.fusion.vocabularies import Bridge
from worker.training.batches import Batch
from worker.training.examples import Example
from worker.training.learner import Learner

#: Logit of what the donor has no token for; finite, since 0 · -inf is not a number.
_NEVER = -1e4


@dataclass(frozen=True)
class Lesson:
    """An example as the donor reads it."""

    ids: tuple[int, ...]
    #: For each of the host's labels, the place in `ids` whose logits predict the same text's next
    #: bytes; -1 where the donor has no token that begins there.
    places: tuple[int, ...]


def lesson(host: Example, donor: Example, bridge: Bridge, reach: int) -> Lesson:
    """Pair an answer's tokens where both tokenizers begin one at the same byte.

    `reach`: how many tokens the donor can read.
    """
    ids = donor.ids[:reach]
    begins: dict[int, int] = {}
    for place, byte in enumerate(_begins(donor, bridge.donor_texts), start=donor.answer - 1):
        if place < len(ids):
            begins.setdefault(byte, place)
    return Lesson(ids, tuple(begins.get(byte, -1) for byte in _begins(host, bridge.host_texts)))


def _begins(example: Example, texts: Sequence[bytes | None]) -> list[int]:
    """Bytes of the answer before each of its tokens."""
    return [0, *ends(example.ids[example.answer :], texts)][:-1]


class Distillation:
    """An `Objective` that holds the donor with its adapter, and every example's lesson.

    Places without a counterpart learn the text's own token, as in refresh.
    """

    def __init__(
        self,
        donor: Any,
        bridge: Bridge,
        lessons: Mapping[tuple[int, ...], Lesson],
        strength: float,
        target: Literal["change", "donor"] = "change",
    ) -> None:
        self._donor, self._bridge, self._strength = donor, bridge, strength
        self._target = target
        self._lessons = lessons

    def __call__(self, learner: Learner, batch: Batch) -> tuple[Tensor, int, dict[str, float]]:
        """Sum over labels of KL(target ‖ host), or of -log p(token) where there is no target."""
        with learner.precision():
            target, taught = self.targets(learner.model, batch)
            found = label_logits(learner.model, batch).log_softmax(-1)
        apart = functional.kl_div(found[taught], target, reduction="sum", log_target=True)
        rest = functional.nll_loss(found[~taught], batch.targets[~taught], reduction="sum")
        return apart + rest, len(batch.targets), {"taught": float(taught.sum())}

    @torch.no_grad()
    def targets(self, model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities (places taught, vocabulary) to learn, and which labels those are."""
        lessons = [self._lessons[example.ids] for example in batch.examples]
        taught = torch.tensor(
            [place >= 0 for each in lessons for place in each.places], device=model.device
        )
        own = self._own(model, batch)[taught]
        said = self._said(lessons)
        own[:, : said.shape[1]] += said
        return own.log_softmax(-1), taught

    def _own(self, model: Any, batch: Batch) -> Tensor:
        """(labels, vocabulary): what the target starts from. Rows beyond the donor's tokens
        (padding of an embedding) are never said by it."""
        if self._target == "donor":
            shape = len(batch.targets), len(model.get_output_embeddings().weight)
            own = torch.full(shape, _NEVER, device=model.device)
            own[:, : self._bridge.size] = 0
            return own
        with model.disable_adapter():
            return label_logits(model, batch)

    def _said(self, lessons: Sequence[Lesson]) -> Tensor:
        """(places taught, host tokens): how the adapter moves the donor there, or with target
        "donor" its log-probabilities."""
        device = self._donor.device
        ids = torch.zeros(len(lessons), max(len(each.ids) for each in lessons), dtype=torch.long)
        rows, columns = [], []
        for row, each in enumerate(lessons):
            ids[row, : len(each.ids)] = torch.tensor(each.ids)
            here = [place for place in each.places if place >= 0]
            rows += [row] * len(here)
            columns += here
        ids = ids.to(device)
        with head_at(self._donor, torch.tensor(rows).to(device), torch.tensor(columns).to(device)):
            after = self._donor(input_ids=ids, use_cache=False).logits[0].float()
            if self._target == "donor":
                return after.log_softmax(-1)[:, : self._bridge.size]
            with self._donor.disable_adapter():
                before = self._donor(input_ids=ids, use_cache=False).logits[0].float()
        return self._strength * self._bridge.change(after, before)


def label_logits(model: Any, batch: Batch) -> Tensor:
    """(labels, vocabulary), fp32: the model's logits where a label is predicted."""
    length = batch.input_ids.shape[1]
    with head_at(model, batch.places // length, batch.places % length):
        return model(input_ids=batch.input_ids, use_cache=False).logits[0].float()
