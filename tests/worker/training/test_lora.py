"""Our LoRA linears are PEFT's, several jobs share one pass, and nothing frozen costs a gradient."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM

from tiny_bases import write_adapter
from worker.training.adapted import Adapted
from worker.training.attention import Segments, _attend, packed  # pyright: ignore[reportPrivateUsage]
from worker.training.batches import Batch, collate, of_jobs, pack
from worker.training.examples import Example
from worker.training.learner import Learner
from worker.training.objectives import sft

EXAMPLES = [
    Example.answering(tuple(range(10, 31)), 8),
    Example.answering(tuple(range(40, 47)), 3),
    Example.answering(tuple(range(60, 75)), 5),
]
JOBS = [0, 1, 1]


def in_peft(base: Path, *adapters: Path) -> list[PeftModel]:
    return [
        PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(base), str(adapter), is_trainable=True
        ).eval()
        for adapter in adapters
    ]


def gradients(adapted: Adapted, batch: Batch) -> dict[str, torch.Tensor]:
    loss, _, _ = sft(Learner.of(adapted), batch)
    weights = {name: each for name, each in adapted.named_parameters() if each.requires_grad}
    return dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}])
@pytest.mark.parametrize("base", ["tiny_llama", "tiny_glm"])
def test_logits_and_gradients_are_pefts(
    base: str, options: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(base)
    adapter = write_adapter(folder, tmp_path / "a", **options)
    [theirs], [mine] = in_peft(folder, adapter), in_peft(folder, adapter)
    ours = Adapted.of(mine)
    ids = torch.tensor([EXAMPLES[0].ids])
    wanted, found = theirs(input_ids=ids).logits, ours(input_ids=ids).logits
    torch.testing.assert_close(found, wanted)
    wanted.square().mean().backward()
    found.square().mean().backward()
    peft = dict(theirs.named_parameters())
    for name, layer in ours.layers.items():
        a = peft[f"base_model.model.{name}.lora_A.default.weight"].grad
        b = peft[f"base_model.model.{name}.lora_B.default.weight"].grad
        assert layer.a.grad is not None
        assert layer.b.grad is not None
        torch.testing.assert_close(layer.a.grad[0], a, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(layer.b.grad[0].T, b, rtol=1e-4, atol=1e-6)


def test_its_state_is_pefts_file_and_removing_it_leaves_the_base(
    tiny_llama: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "a")
    [theirs], [mine] = in_peft(tiny_llama, adapter), in_peft(tiny_llama, adapter)
    ours = Adapted.of(mine)
    ids = torch.tensor([EXAMPLES[0].ids])
    with theirs.disable_adapter(), ours.disable_adapter():
        assert torch.equal(theirs(input_ids=ids).logits, ours(input_ids=ids).logits)
    saved = load_file(adapter / "adapter_model.safetensors")
    assert ours.state().keys() == saved.keys()
    assert all(torch.equal(value, saved[key]) for key, value in ours.state().items())
    bare = ours.remove()
    assert not any("lora" in type(part).__name__.lower() for part in bare.modules())


@pytest.mark.parametrize("packing", [False, True])
def test_two_jobs_in_one_step_get_the_gradients_that_each_gets_alone(
    packing: bool, tiny_llama: Path, tmp_path: Path
) -> None:
    adapters = [write_adapter(tiny_llama, tmp_path / f"a{seed}", seed=seed) for seed in (1, 2)]

    def batch(examples: list[Example]) -> Batch:
        return pack(examples, "cpu") if packing else collate(examples, 0, "cpu")

    alone = []
    for job, adapter in enumerate(adapters):
        own = [each for each, tag in zip(EXAMPLES, JOBS, strict=True) if tag == job]
        alone.append(gradients(Adapted.of(*in_peft(tiny_llama, adapter)), batch(own)))
    both = Adapted.of(*in_peft(tiny_llama, *adapters))
    shared = gradients(both, of_jobs(batch(EXAMPLES), JOBS))
    for name, found in shared.items():
        for job in (0, 1):
            torch.testing.assert_close(found[job], alone[job][name][0], rtol=1e-4, atol=1e-5)
    for job, adapter in enumerate(adapters):
        [peft] = in_peft(tiny_llama, adapter)
        for key, value in both.state(job).items():
            inside = key.replace(".weight", ".default.weight")
            assert torch.equal(value, peft.state_dict()[inside])


def test_nothing_below_the_first_adapter_and_no_frozen_weight_gets_a_gradient(
    tiny_llama: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "a", targets=["model.layers.1.mlp.down_proj"])
    adapted = Adapted.of(*in_peft(tiny_llama, adapter))
    asked: list[bool] = []

    def note(_: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        asked.append(output.requires_grad)

    learner = Learner.of(adapted)
    for part in adapted.base.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            part.register_forward_hook(note)
    loss, _, _ = sft(learner, pack(EXAMPLES, "cpu"))
    loss.backward()
    assert asked
    assert not any(asked)
    got = {name for name, weight in adapted.named_parameters() if weight.grad is not None}
    assert got == {f"base.model.layers.1.mlp.down_proj.{part}" for part in "ab"}


def test_the_backward_pass_keeps_an_input_once_and_no_logits(
    tiny_llama: Path, tmp_path: Path
) -> None:
    adapted = Adapted.of(*in_peft(tiny_llama, write_adapter(tiny_llama, tmp_path / "a")))
    learner, batch = Learner.of(adapted), pack(EXAMPLES, "cpu")
    kept: dict[int, tuple[int, ...]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tuple(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        sft(learner, batch)
    vocabulary = adapted.base.config.vocab_size
    weights = {each.data_ptr() for each in adapted.parameters()}
    assert not any(vocabulary in shape for where, shape in kept.items() if where not in weights)


def test_a_grid_of_rows_attends_as_row_after_row(tiny_llama: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    torch.manual_seed(0)
    lengths, found = (5, 1, 9), []
    shapes = ((1, 4, 15, 16), (1, 2, 15, 16), (1, 2, 15, 16))
    inputs = [torch.randn(shape) for shape in shapes]
    for kind in (Segments.of, Segments.in_grid):
        segments = kind(lengths, "cpu")
        own = [each.clone().requires_grad_() for each in inputs]
        with packed(model, segments):
            query, key, value = own
            out, _ = _attend(nn.Identity(), query, key, value, None, scaling=0.25)
        grads = torch.autograd.grad((out * torch.arange(16.0)).sum(), own)
        found.append((out, *grads))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
