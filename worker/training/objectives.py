"""What a step minimises: functions of a learner and a batch, without state of their own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from peft.helpers import disable_input_dtype_casting
from torch import Tensor, nn
from torch.nn import functional

from worker.checkpoints import probe_ids, probe_logits
from worker.training.batches import Batch
from worker.training.cross_entropy import linear_cross_entropy


@dataclass(frozen=True)
class Learner:
    """A base with the adapter in training, and how its losses may be computed."""

    model: PeftModel
    #: True where logits are nothing but the output head's product with the hidden states, so that
    #: only those at labels need be computed (some families scale or cap them).
    plain_head: bool

    @classmethod
    def of(cls, model: PeftModel) -> "Learner":
        """Look at the model's own logits to see whether its head is plain."""
        return cls(model, _has_plain_head(model))

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Products in the base's precision; the adapter's own weights stay fp32."""
        with ExitStack() as stack:
            if self.model.dtype == torch.bfloat16:
                # Without PEFT's cast of inputs to fp32 activations take half the memory.
                stack.enter_context(disable_input_dtype_casting(self.model))
                stack.enter_context(torch.autocast(self.model.device.type, torch.bfloat16))
            yield


#: (learner, batch) -> (loss summed over labels in nats, labels, other sums to report).
Objective = Callable[[Learner, Batch], tuple[Tensor, int, dict[str, float]]]


def sft(learner: Learner, batch: Batch) -> tuple[Tensor, int, dict[str, float]]:
    """Supervised fine-tuning: cross-entropy of the answers' tokens, prompts masked."""
    with learner.precision():
        if learner.plain_head:
            head = _head(learner.model)
            hidden = _hidden_states(learner.model, batch.input_ids).flatten(0, 1)[batch.places]
            loss = linear_cross_entropy(hidden, head.weight, head.bias, batch.targets)
        else:
            logits = learner.model(input_ids=batch.input_ids, use_cache=False).logits
            chosen = logits.flatten(0, 1)[batch.places].float()
            loss = functional.cross_entropy(chosen, batch.targets, reduction="sum")
    return loss, len(batch.targets), {}


def _hidden_states(model: PeftModel, input_ids: Tensor) -> Tensor:
    """(rows, length, width): what the output head reads."""
    bare: Any = model.get_base_model()
    decoder = getattr(bare, bare.base_model_prefix)
    return decoder(input_ids=input_ids, use_cache=False).last_hidden_state


def _head(model: PeftModel) -> Any:
    bare: Any = model.get_base_model()
    return bare.get_output_embeddings()


def _has_plain_head(model: PeftModel) -> bool:
    head = _head(model)
    if type(head) is not nn.Linear or head.weight.requires_grad:
        return False
    ids = probe_ids(model).to(model.device)
    with torch.no_grad():
        ours = head(_hidden_states(model, ids)).float().cpu()
    theirs = probe_logits(model)
    return bool((ours - theirs).abs().max() <= 1e-3 * theirs.abs().max())
