"""The objective of delta distillation: exact targets, and bytes that two tokenizers share."""

from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from donors import CAPITALS
from fusions import base_files, load
from tiny_bases import make_llama, write_adapter
from worker.checkpoints import attach_adapter, load_base
from worker.fusion.distillation import Distillation, lesson
from worker.fusion.vocabularies import Bridge
from worker.training.batches import collate
from worker.training.examples import encode
from worker.training.learner import Learner


def taught(
    donor_base: Path, host_base: Path, adapter: Path, strength: float = 1.0, target: Any = "change"
) -> tuple[Any, ...]:
    """A host with a fresh adapter, a batch of CAPITALS, and the objective that a donor teaches."""
    donor, theirs = load_base(base_files(donor_base), "cpu", "fp32")
    donor = attach_adapter(donor, adapter)
    model, ours = load_base(base_files(host_base), "cpu", "fp32")
    host: Any = attach_adapter(model, write_adapter(host_base, adapter.parent / "host", scale=0.03))
    bridge = Bridge(theirs, ours, "cpu")
    examples = encode(CAPITALS, ours, "auto", 512).examples
    read = encode(CAPITALS, theirs, "auto", 512).examples
    lessons = {
        own.ids: lesson(own, other, bridge, 512) for own, other in zip(examples, read, strict=True)
    }
    objective = Distillation(donor, bridge, lessons, strength, target)
    return Learner.of(host), collate(examples, 0, "cpu"), objective, donor, lessons


def test_with_one_vocabulary_the_loss_is_the_divergence_from_the_summed_logits(
    tiny_llama: Path, tmp_path: Path
) -> None:
    host = make_llama(tmp_path / "other", seed=7)
    adapter = write_adapter(tiny_llama, tmp_path / "a", scale=0.2)
    learner, batch, objective, donor, _ = taught(tiny_llama, host, adapter, strength=0.5)
    loss, labels, also = objective(learner, batch)

    with torch.no_grad():
        ids = batch.input_ids
        with_adapter, plain = donor(input_ids=ids).logits, load(tiny_llama)(input_ids=ids).logits
        wanted = (load(host)(input_ids=ids).logits + 0.5 * (with_adapter - plain)).log_softmax(-1)
        found = learner.model(input_ids=ids).logits.log_softmax(-1)
        each = functional.kl_div(found, wanted, reduction="none", log_target=True).sum(-1)
    assert also["taught"] == labels == len(batch.targets)
    torch.testing.assert_close(loss.detach(), each.flatten()[batch.places].sum())
    loss.backward()
    assert any(weight.grad is not None for weight in learner.model.parameters())


def test_with_the_donor_as_target_the_loss_is_the_divergence_from_what_it_says(
    tiny_llama: Path, tmp_path: Path
) -> None:
    host = make_llama(tmp_path / "other", seed=7)
    adapter = write_adapter(tiny_llama, tmp_path / "a", scale=0.2)
    learner, batch, objective, donor, _ = taught(tiny_llama, host, adapter, target="donor")
    loss, _, _ = objective(learner, batch)

    with torch.no_grad():
        wanted = donor(input_ids=batch.input_ids).logits.log_softmax(-1)
        found = learner.model(input_ids=batch.input_ids).logits.log_softmax(-1)
        each = functional.kl_div(found, wanted, reduction="none", log_target=True).sum(-1)
    torch.testing.assert_close(loss.detach(), each.flatten()[batch.places].sum())


def test_places_are_taught_where_both_tokenizers_begin_a_token(
    tiny_llama: Path, tiny_glm: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tiny_glm, tmp_path / "a", scale=0.2)
    learner, batch, objective, _, lessons = taught(tiny_glm, tiny_llama, adapter)
    target, aligned = objective.targets(learner.model, batch)
    torch.testing.assert_close(target.exp().sum(-1), torch.ones(len(target)))
    assert int(aligned.sum()) == len(target)
    for each in lessons.values():
        # The first token of an answer and its end begin at the same byte in any tokenizer.
        assert each.places[0] >= 0
        assert each.places[-1] == len(each.ids) - 2
    loss, labels, _ = objective(learner, batch)
    assert 0 < float(loss.detach()) < 40 * labels
