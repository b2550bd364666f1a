"""The loss is the model's own, computed with less memory and no contamination by padding."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, PeftModelForCausalLM
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

from tiny_bases import write_adapter
from worker.training import cross_entropy
from worker.training.adapted import Adapted
from worker.training.batches import collate, pack
from worker.training.cross_entropy import linear_cross_entropy
from worker.training.examples import Example
from worker.training.learner import Learner
from worker.training.objectives import sft

EXAMPLES = [Example.answering(tuple(range(10, 31)), 8), Example.answering(tuple(range(40, 47)), 3)]


def adapted(base: Path, folder: Path, dtype: torch.dtype = torch.float32) -> Adapted:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    adapter = write_adapter(base, folder / "adapter")
    return Adapted.of(PeftModel.from_pretrained(model, str(adapter), is_trainable=True))


def reference(model: Any, examples: list[Example]) -> torch.Tensor:
    """Transformers' own loss, row by row without padding, summed over labels."""
    total = torch.zeros(())
    for example in examples:
        ids = torch.tensor([example.ids])
        labels = ids.clone()
        labels[:, : example.answer] = -100
        total = total + model(input_ids=ids, labels=labels).loss * example.labels
    return total


def gradients(model: nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return list(torch.autograd.grad(loss, weights))


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("base", ["tiny_llama", "tiny_glm"])
def test_loss_and_gradient_of_a_batch_are_the_models_own(
    base: str, packing: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = adapted(request.getfixturevalue(base), tmp_path)
    learner = Learner.of(model, longest=21)
    batch = pack(EXAMPLES, "cpu") if packing else collate(EXAMPLES, 2, "cpu")
    loss, labels, _ = sft(learner, batch)
    wanted = reference(model, EXAMPLES)
    assert learner.plain_head
    assert learner.packs
    assert labels == 13 + 4
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(gradients(model, loss), gradients(model, wanted), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_capped_head_is_noticed_and_its_own_logits_are_used() -> None:
    config = Gemma2Config(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16, final_logit_softcapping=0.5,
        initializer_range=0.5, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    bare = Gemma2ForCausalLM(config).eval()
    lora = LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    model = Adapted.of(PeftModelForCausalLM(bare, lora))
    learner = Learner.of(model, longest=21)
    loss, _, _ = sft(learner, collate(EXAMPLES, 0, "cpu"))
    assert (learner.plain_head, learner.packs) == (False, False)
    torch.testing.assert_close(loss, reference(model, EXAMPLES), rtol=1e-5, atol=1e-5)


def test_bf16_is_close_to_fp32_and_trains_fp32_weights(tiny_llama: Path, tmp_path: Path) -> None:
    exact = adapted(tiny_llama, tmp_path)
    rough = adapted(tiny_llama, tmp_path, torch.bfloat16)
    batch = collate(EXAMPLES, 2, "cpu")
    wanted, _, _ = sft(Learner.of(exact), batch)
    loss, _, _ = sft(Learner.of(rough), batch)
    assert abs(loss.item() / wanted.item() - 1) < 0.03
    for gradient, right in zip(gradients(rough, loss), gradients(exact, wanted), strict=True):
        assert gradient.dtype == torch.float32
        assert functional.cosine_similarity(gradient.flatten(), right.flatten(), dim=0) > 0.98


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("held", [50, 10**9])
def test_chunked_cross_entropy_is_torchs(
    biased: bool, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "_LOGITS_CPU", held)
    torch.manual_seed(0)
    hidden = torch.randn(7, 5, dtype=torch.float64).float().requires_grad_()
    weight, bias = torch.randn(20, 5), torch.randn(20) if biased else None
    targets = torch.randint(20, (7,))
    shares = torch.rand(7)
    loss = (linear_cross_entropy(hidden, weight, bias, targets) * shares).sum()
    logits = functional.linear(hidden, weight, bias)
    wanted = (functional.cross_entropy(logits, targets, reduction="none") * shares).sum()
    torch.testing.assert_close(loss, wanted)
    [ours], [theirs] = torch.autograd.grad(loss, hidden), torch.autograd.grad(wanted, hidden)
    torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(
            (linear_cross_entropy(hidden, weight, bias, targets) * shares).sum(), wanted
        )
