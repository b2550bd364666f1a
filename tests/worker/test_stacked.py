"""Stacked adapters answer what PEFT's adapters answer one at a time."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from tiny_bases import write_adapter
from worker.checkpoints import attach_adapter
from worker.evaluation.scoring import packing_fits
from worker.stacked import Stack, stackable

IDS = torch.arange(60).view(3, 20) * 7 % 300


@pytest.fixture(scope="module")
def adapted(tiny_llama, tmp_path_factory):
    """Three adapters of other ranks and modules, and one (DoRA) that is not plain LoRA."""
    root = tmp_path_factory.mktemp("stack")
    kinds = {
        "wide": {"rank": 8, "rank_pattern": {"o_proj": 2}, "seed": 1},
        "narrow": {"rank": 2, "targets": ["q_proj", "down_proj"], "use_rslora": True, "seed": 2},
        "plain": {"seed": 3},
        "dora": {"use_dora": True, "seed": 4},
    }
    model = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    for slot, how in kinds.items():
        model = attach_adapter(model, write_adapter(tiny_llama, root / slot, **how), slot=slot)
    return model


def alone(adapted, slot):
    adapted.set_adapter(slot, inference_mode=True)
    with torch.inference_mode():
        return adapted(input_ids=IDS).logits


def test_blocks_of_a_batch_meet_their_own_adapter(adapted):
    names = ["wide", "narrow", "plain"]
    with Stack(adapted, names).answering() as model, torch.inference_mode():
        together = model(input_ids=IDS.repeat(3, 1)).logits
    for name, block in zip(names, together.chunk(3), strict=True):
        torch.testing.assert_close(block, alone(adapted, name), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[:3], together[3:6])


def test_rows_in_any_order_meet_their_own_adapter(adapted):
    names, order = ["wide", "narrow", "plain"], [2, 0, 2, 1]
    stack = Stack(adapted, names)
    stack.rows(torch.tensor(order))
    with stack.answering() as model, torch.inference_mode():
        mixed = model(input_ids=IDS[:1].repeat(4, 1)).logits
    for row, place in zip(mixed, order, strict=True):
        expected = alone(adapted, names[place])[0]
        torch.testing.assert_close(row, expected, atol=1e-5, rtol=1e-5)


def test_after_the_stack_the_base_answers_bit_for_bit_as_before(adapted, tiny_llama):
    bare = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    with Stack(adapted, ["wide", "plain"]).answering() as model, torch.inference_mode():
        model(input_ids=IDS.repeat(2, 1))
    with adapted.disable_adapter(), torch.inference_mode():
        assert torch.equal(adapted(input_ids=IDS).logits, bare(input_ids=IDS).logits)


def test_only_plain_lora_is_stacked(adapted):
    assert [stackable(adapted, slot) for slot in ("wide", "narrow", "plain", "dora")] == [
        True, True, True, False,
    ]  # fmt: skip


def test_a_base_that_takes_packed_rows_takes_them_with_adapters_on_it(adapted):
    with torch.inference_mode():
        assert packing_fits(adapted.get_base_model())
        assert packing_fits(adapted)
