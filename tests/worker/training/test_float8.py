"""A base in 8-bit floats learns nearly the same, and is what it was afterwards."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func
from peft import LoraConfig, PeftModelForCausalLM
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from transformers import AutoModelForCausalLM

from orders_of import ROWS, order_for
from shared.errors import InvalidSpec, NoFloat8
from worker.reporting import Silent
from worker.training import engine, train
from worker.training.adapted import Adapted
from worker.training.float8 import Float8Linear, rounded
from worker.training.float8_base import in_float8
from worker.training.lora import Gate, LoraLinear
from worker.training.sums import added


def lora(base: Any, *, jobs: int = 1) -> LoraLinear:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(jobs, 4, 64, generator=generator) / 8
    b = torch.randn(jobs, 4, 48, generator=generator) / 8
    return LoraLinear(base, a, b, 2.0, Gate())


def linear() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(64, 48, bias=False, dtype=torch.bfloat16).requires_grad_(False)


def answered(layer: LoraLinear) -> list[Tensor]:
    """Its answer to fixed inputs, and the gradients of the inputs, A and B."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 10, 64, generator=generator).bfloat16().requires_grad_(True)
    y = layer(x)
    assert x.grad is None
    gradients = torch.autograd.grad(y.float().square().sum(), [x, layer.a, layer.b])
    return [each.detach().float() for each in (y, *gradients)]


def test_each_row_is_rounded_to_an_eighth_of_its_own_numbers() -> None:
    x = torch.tensor([[1.0, -3.0, 448.0], [1e-6, 3e-6, 2e-6], [0.0, 0.0, 0.0]])
    eight, scale = rounded(x)
    again = eight.float() * scale
    assert scale.shape == (3, 1)
    assert ((again - x).abs() <= x.abs() / 16).all()


@pytest.mark.parametrize("jobs", [1, 2])
def test_answers_and_gradients_are_those_of_bf16_to_a_few_percent(jobs: int) -> None:
    base = linear()
    layer = lora(base, jobs=jobs)
    if jobs > 1:
        layer.gate.jobs = torch.eye(jobs).repeat_interleave(10, dim=0)
    whole = answered(layer)
    layer.base = Float8Linear(base.weight)
    for found, wanted in zip(answered(layer), whole, strict=True):
        assert 0 < (found - wanted).norm() <= 0.06 * wanted.norm()


def test_the_products_are_those_of_the_rounded_numbers() -> None:
    base = linear()
    weight, scale = rounded(base.weight)
    x = torch.randn(6, 64).bfloat16()
    eight, own = rounded(x)
    wanted = (eight.float() * own) @ (weight.float() * scale).T
    torch.testing.assert_close(Float8Linear(base.weight)(x).float(), wanted, rtol=2**-7, atol=2**-7)


class Pair(nn.Module):
    """Two modules that read the same input, as a layer's keys and values do."""

    def __init__(self, eight: bool) -> None:
        super().__init__()
        base = linear()
        self.one, self.other = (lora(Float8Linear(base.weight) if eight else base) for _ in "12")

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) * self.other(x)


# The tracer looks at things in ways that torch itself warns of.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("eight", [False, True])
def test_a_compiler_sees_one_operation_for_any_length_and_changes_no_number(eight: bool) -> None:
    pair, graphs = Pair(eight), []
    same = deepcopy(pair)

    def keep(graph: torch.fx.GraphModule, _: Any) -> Any:
        graphs.append(str(graph.code))
        return make_boxed_func(graph.forward)

    traced = torch.compile(
        same, backend=aot_autograd(fw_compiler=keep), fullgraph=True, dynamic=True
    )
    for length in (10, 7):
        x = torch.randn(2, length, 64).bfloat16().requires_grad_(True)
        found, wanted = traced(x), pair(x)
        assert torch.equal(found, wanted)
        found.float().sum().backward()
        wanted.float().sum().backward()
    assert len(graphs) == 2
    name = "graft.float8_added" if eight else "graft.added"
    assert all(name in code and "aten.addmm" not in code for code in graphs)
    gradients = [[each.grad for each in made.parameters() if each.grad is not None]
                 for made in (same, pair)]  # fmt: skip
    assert len(gradients[0]) == 4
    assert all(torch.equal(*both) for both in zip(*gradients, strict=True))


def test_a_bias_is_in_the_sum() -> None:
    x, weight, bias = torch.randn(5, 8), torch.randn(8, 6), torch.randn(6)
    low, b = torch.randn(5, 2), torch.randn(2, 6)
    torch.testing.assert_close(added(x, weight, bias, low, b), x @ weight + bias + low @ b)


def adapted(folder: Path, dtype: torch.dtype) -> Adapted:
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    return Adapted.of(PeftModelForCausalLM(model, config))


def test_the_base_is_as_it_was_afterwards_even_when_training_failed(tiny_llama: Path) -> None:
    model = adapted(tiny_llama, torch.bfloat16)
    bases: dict[str, Any] = {name: each.base for name, each in model.layers.items()}
    before = {name: each.weight.clone() for name, each in bases.items()}
    report = Silent()

    def failing() -> None:
        with in_float8(model, report):
            assert all(isinstance(each.base, Float8Linear) for each in model.layers.values())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert len(before) == 14
    for name, layer in model.layers.items():
        assert layer.base is bases[name]
        assert torch.equal(bases[name].weight, before[name])


def test_linears_with_a_bias_or_an_odd_side_stay_as_they_are(tiny_llama: Path) -> None:
    model = adapted(tiny_llama, torch.bfloat16)
    first, second, *_ = (each.base for each in model.layers.values())
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    first.bias = nn.Parameter(torch.zeros(first.out_features))
    second.in_features = 17
    with in_float8(model, Silent()):
        kinds = [isinstance(each.base, Float8Linear) for each in model.layers.values()]
    assert kinds[:2] == [False, False]
    assert all(kinds[2:])


def test_a_base_in_fp32_is_refused(tiny_llama: Path) -> None:
    model = adapted(tiny_llama, torch.float32)
    with (
        pytest.raises(InvalidSpec, match="fp8 needs a base in bf16"),
        in_float8(model, Silent()),
    ):
        pytest.fail("it was taken")


def test_a_device_without_8_bit_floats_is_refused_before_the_base_is_loaded(
    tiny_llama: Path, tmp_path: Path
) -> None:
    report = Silent()
    with pytest.raises(NoFloat8, match="only GPUs multiply them fast") as refused:
        train(order_for(tiny_llama, tmp_path, base_bits="fp8"), report)
    assert "base_bits" in refused.value.message("zh")
    assert not report.steps


def test_an_adapter_learns_on_a_base_in_fp8_and_is_published_for_the_base_in_bf16(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CPU can multiply 8-bit floats, only not fast."""
    monkeypatch.setattr(engine, "require_float8", lambda device: None)
    losses: dict[str, list[float]] = {}
    for bits in ("full", "fp8"):
        report = Silent()
        more: dict[str, Any] = {"precision": "bf16", "base_bits": bits, "max_steps": 6}
        order = order_for(
            tiny_llama, tmp_path / bits, batch_size=len(ROWS), learning_rate=0.01, **more
        )
        made = train(order, report)
        assert (made.folder / "adapter_model.safetensors").exists()
        losses[bits] = [values["loss"] for _, values in report.steps]
    assert losses["fp8"] != losses["full"]
    assert losses["fp8"] == pytest.approx(losses["full"], rel=0.02)
    assert losses["fp8"][-1] < losses["fp8"][0]
