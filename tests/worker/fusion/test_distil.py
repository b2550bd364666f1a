"""Delta distillation on tiny models: exact targets, aligned bytes, and the whole method."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from donors import read
from fusions import base_files, fusion_order, load, logits, relative, with_added
from shared.errors import NoOp
from shared.orders import DataFile
from shared.specs import TrainingSpec
from tiny_bases import make_llama, write_adapter
from worker.checkpoints import attach_adapter, load_base
from worker.fusion import fuse
from worker.fusion.distillation import Distillation, lesson
from worker.fusion.vocabularies import Bridge
from worker.reporting import Silent
from worker.training import Place, train_adapter
from worker.training.batches import collate
from worker.training.examples import encode
from worker.training.learner import Learner

ROWS = [
    {"instruction": "Name the capital.", "input": "", "output": "Paris, the river fox."},
    {"instruction": "请说出首都。", "input": "", "output": "巴黎。"},
]


def taught(donor_base: Path, host_base: Path, adapter: Path, **strength: float) -> tuple[Any, ...]:
    """A host with a fresh adapter, a batch of ROWS, and the objective that a donor teaches."""
    donor, theirs = load_base(base_files(donor_base), "cpu", "fp32")
    donor = attach_adapter(donor, adapter)
    model, ours = load_base(base_files(host_base), "cpu", "fp32")
    host: Any = attach_adapter(model, write_adapter(host_base, adapter.parent / "host", scale=0.03))
    bridge = Bridge(theirs, ours, "cpu")
    examples = encode(ROWS, ours, "auto", 512).examples
    read = encode(ROWS, theirs, "auto", 512).examples
    lessons = {
        own.ids: lesson(own, other, bridge, 512) for own, other in zip(examples, read, strict=True)
    }
    objective = Distillation(donor, bridge, lessons, strength.get("strength", 1.0))
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


def prompts(folder: Path) -> DataFile:
    path = folder / "prompts.json"
    path.write_text(json.dumps(ROWS, ensure_ascii=False), encoding="utf-8")
    return DataFile(name="prompts", path=path, sha256="")


PARAMS: dict[str, Any] = {
    "method": "distil", "dataset": "prompts", "max_new_tokens": 40, "rank": 4, "batch_size": 2,
    "max_steps": 30, "learning_rate": 0.02,
}  # fmt: skip


@pytest.fixture(scope="module")
def donor(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that knows ROWS by heart, and where their answers end."""
    folder = tmp_path_factory.mktemp("donor")
    base = base_files(tiny_llama)
    spec = TrainingSpec(
        name="d", base_model="b", dataset="d", rank=8, learning_rate=0.02, batch_size=2,
        max_steps=50, checkpoint_every=1000,
    )  # fmt: skip
    place = Place(base=base, dataset="d", out=folder / "out", checkpoints=folder / "c")
    train_adapter(*load_base(base, "cpu", "fp32"), ROWS, spec, "auto", place, Silent())
    return folder / "out"


@pytest.mark.parametrize("start", ["fresh", "copy"])
def test_the_host_moves_towards_what_the_donor_does(
    tiny_llama: Path, tiny_glm: Path, donor: Path, tmp_path: Path, start: str
) -> None:
    report = Silent()
    order = fusion_order(
        PARAMS | {"start": start}, {"d": donor}, tiny_llama, tmp_path / "a1", host=tiny_glm,
        dataset=prompts(tmp_path),
    )  # fmt: skip
    made = fuse(order, report)
    losses = [values["loss"] for _, values in report.steps]
    assert losses[-1] < 0.5 * losses[0]
    assert made.facts["alignment"] == "bytes"
    assert 0.5 < made.facts["taught_share"] <= 1
    assert made.facts["kept"] == 2
    found, dense = logits(load(tiny_glm, made.folder)), with_added(tiny_glm, read(made.folder))
    assert relative(found, logits(dense)) < 1e-5
    assert float((found - logits(load(tiny_glm))).abs().max()) > 0
    begun = [line for line in report.lines if "begins with" in line]
    assert len(begun) == (start == "copy")


def test_a_donor_that_does_nothing_teaches_nothing(
    tiny_llama: Path, tiny_glm: Path, tmp_path: Path
) -> None:
    idle = write_adapter(tiny_llama, tmp_path / "idle", scale=0.0)
    order = fusion_order(
        PARAMS, {"d": idle}, tiny_llama, tmp_path / "a1", host=tiny_glm, dataset=prompts(tmp_path)
    )
    with pytest.raises(NoOp, match="changes no logit"):
        fuse(order, Silent())
