"""Full fine-tuning: a whole model learns, is published as one, and is asked like any adapter."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from orders_of import base_files, order_for
from shared.base_models import inspect
from shared.errors import DoesNotFit, InvalidSpec, NoOp, UnsupportedAdapter
from shared.memory import training_bytes
from shared.orders import AdapterFiles
from shared.specs import TrainingSpec, parse_spec
from tiny_bases import make_llama, write_adapter
from tiny_chatglm import make_chatglm
from worker.checkpoints import load_base, probe_logits
from worker.evaluation.arms import Arms
from worker.evaluation.scoring import score
from worker.evaluation.trees import Tree
from worker.reporting import Silent
from worker.training import room, train
from worker.training.batches import collate
from worker.training.examples import Example
from worker.training.full import Full
from worker.training.learner import Learner

VALUES: dict[str, Any] = {"tuning": "full", "max_steps": 4, "learning_rate": 0.003}
TREES = [Tree([5, 6, 7, 8], [[9, 10], [11]])]


def load(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def test_it_learns_and_plain_transformers_loads_what_it_became(
    tiny_llama: Path, tmp_path: Path
) -> None:
    report = Silent()
    made = train(order_for(tiny_llama, tmp_path, **VALUES), report)
    losses = [step["loss"] for _, step in report.steps]
    assert losses[-1] < 0.9 * losses[0]
    before, after = load(tiny_llama), load(made.folder)
    moved = [
        name
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(old, new)
    ]
    assert len(moved) == len(list(before.parameters()))
    change = float((probe_logits(after) - probe_logits(before)).abs().max())
    assert change == pytest.approx(made.facts["logit_change"], rel=1e-4)
    assert (made.rank, made.facts["tuning"], made.facts["rank"]) == (0, "full", 0)
    # It is a base model too: everything that registering one asks for is there.
    assert inspect(made.folder)["parameters"] == inspect(tiny_llama)["parameters"]


@pytest.mark.parametrize("kind", ["tied, bf16 files", "chatglm"])
def test_what_is_published_is_like_the_bases_files(kind: str, tmp_path: Path) -> None:
    if kind == "chatglm":
        base = make_chatglm(tmp_path / "base")
    else:
        base = make_llama(tmp_path / "base", tie_word_embeddings=True)
        load(base).bfloat16().save_pretrained(base)
    template = "chatglm" if kind == "chatglm" else "auto"
    made = train(order_for(base, tmp_path, **VALUES, template=template), Silent())
    model, tokenizer = load_base(base_files(made.folder), "cpu", "fp32")
    config = json.loads((made.folder / "config.json").read_text())
    assert config["dtype"] == ("float32" if kind == "chatglm" else "bfloat16")
    old = load_base(base_files(base), "cpu", "fp32")[1]
    assert tokenizer("the capital")["input_ids"] == old("the capital")["input_ids"]
    assert made.facts["logit_change"] > 0
    if kind != "chatglm":
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_small_steps_add_up_in_half_precision(tmp_path: Path) -> None:
    """Products in bf16, weights in fp32: what one step changes is lost in bf16's rounding."""
    base = make_llama(tmp_path / "base")
    values: dict[str, Any] = VALUES | {"learning_rate": 3e-5, "schedule": "constant"}
    losses = {}
    for precision in ("fp32", "bf16"):
        report = Silent()
        train(order_for(base, tmp_path / precision, **values, precision=precision), report)
        losses[precision] = [step["loss"] for _, step in report.steps]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)
    assert losses["bf16"] != losses["fp32"]


def test_the_base_answers_as_it_was_while_its_weights_learn(tiny_llama: Path) -> None:
    full = Full(load(tiny_llama), torch.float32)
    before = probe_logits(full)
    with torch.no_grad():
        full.base.model.embed_tokens.weight.mul_(2)
    assert not torch.equal(probe_logits(full), before)
    with full.disable_adapter():
        assert torch.equal(probe_logits(full), before)
    assert not torch.equal(probe_logits(full), before)
    assert torch.equal(probe_logits(full.remove()), before)


def test_no_logits_are_held_and_every_gradient_is_that_of_plain_transformers(
    tiny_llama: Path,
) -> None:
    example = Example.answering(tuple(range(10, 40)), 9)
    full, plain = Full(load(tiny_llama), torch.float32), load(tiny_llama)
    learner = Learner.of(full)
    assert learner.plain_head
    learner.losses(collate([example], 0, "cpu")).mean().backward()
    ids = torch.tensor([example.ids])
    plain(input_ids=ids, labels=ids.masked_fill(torch.arange(30) < 9, -100)).loss.backward()
    for (name, mine), theirs in zip(full.base.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_steps_too_small_for_the_bases_files_are_refused(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "base")
    load(base).bfloat16().save_pretrained(base)
    with pytest.raises(NoOp):
        train(order_for(base, tmp_path, tuning="full", learning_rate=1e-9, max_steps=2), Silent())


def test_it_is_an_arm_beside_the_base_and_a_lora(tiny_llama: Path, tmp_path: Path) -> None:
    made = train(order_for(tiny_llama, tmp_path, **VALUES), Silent())
    lora = write_adapter(tiny_llama, tmp_path / "lora")
    files = base_files(tiny_llama)
    adapters = [
        AdapterFiles(name="lora", folder=lora, base=files),
        AdapterFiles(name="full", folder=made.folder, base=files),
    ]
    arms = Arms(*load_base(files, "cpu", "fp32"), adapters)
    assert arms.passes() == [["base"], ["lora"], ["full"]]
    for name, folder in (("full", made.folder), ("base", tiny_llama)):
        with arms.switched_to(name) as (model, stack), torch.inference_mode():
            assert stack is None
            found = score(model, TREES, batch_tokens=64, packed=True)
            alone = score(load(folder), TREES, batch_tokens=64, packed=True)
        assert found[0] == pytest.approx(alone[0], abs=1e-5)


def test_a_model_of_another_shape_or_without_effect_is_no_arm(
    tiny_llama: Path, tiny_glm: Path
) -> None:
    files = base_files(tiny_llama)
    for folder, wrong in ((tiny_glm, UnsupportedAdapter), (tiny_llama, NoOp)):
        with pytest.raises(wrong, match="mine"):
            Arms(*load_base(files, "cpu", "fp32"), [
                AdapterFiles(name="mine", folder=folder, base=files)
            ])  # fmt: skip


def test_it_is_refused_before_the_base_is_loaded_where_memory_is_short(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda device: 1 << 20)
    with pytest.raises(DoesNotFit, match=f"{tiny_llama.name}.*1 MiB free") as refused:
        train(order_for(tiny_llama, tmp_path, **VALUES), Silent())
    assert "全量微调" in refused.value.message("zh")


def test_the_prediction_covers_what_is_really_allocated(tiny_llama: Path, tmp_path: Path) -> None:
    """Weights, gradients, moments and the base as it was, counted one by one."""
    spec: Any = order_for(tiny_llama, tmp_path, **VALUES).spec
    sizes = room.sizes_of(tiny_llama)
    assert sizes is not None
    model = load(tiny_llama)
    assert sizes.parameters == sum(weight.numel() for weight in model.parameters())
    whole = training_bytes(spec.model_copy(update={"precision": "fp32"}), sizes)
    assert whole > 20 * sizes.parameters
    lora = training_bytes(spec.model_copy(update={"tuning": "lora"}), sizes)
    assert whole > lora


def test_a_config_without_sizes_is_left_to_the_loader(tmp_path: Path) -> None:
    assert room.sizes_of(tmp_path) is None
    LlamaForCausalLM(LlamaConfig(
        vocab_size=32, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1,
    )).save_pretrained(tmp_path)  # fmt: skip
    (tmp_path / "model.safetensors").write_bytes(b"short")
    assert room.sizes_of(tmp_path) is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"lora_plus": 16}, "lora_plus: "),
        ({"also_train": "head"}, "also_train: full trains"),
        ({"base_bits": "8"}, "base_bits: "),
        ({"start": "pissa"}, "start: "),
        ({"target_modules": ["q_proj"]}, "tuning: .*target_modules"),
        ({"dropout": 0.1}, "tuning: .*dropout"),
    ],
)
def test_what_is_lora_s_alone_is_refused_with_it(values: dict[str, Any], reason: str) -> None:
    spec = {"kind": "train", "name": "a", "base_model": "b", "dataset": "d", "tuning": "full"}
    with pytest.raises(InvalidSpec, match=reason):
        parse_spec(spec | values)
    assert isinstance(parse_spec(spec), TrainingSpec)
