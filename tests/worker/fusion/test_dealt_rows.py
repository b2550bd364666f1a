"""Query, key and value that lie head by head in one module take part in transfers."""

from pathlib import Path

import pytest
import torch

from benchmarks.families.bases import HEADS, LAYERS, WIDE, make_base
from fusions import deltas, fusion_order
from shared.orders import BaseFiles
from tiny_bases import write_adapter
from worker.fusion import fuse
from worker.fusion.factors import Factors
from worker.fusion.landing import stacked
from worker.fusion.structure import structure_of
from worker.reporting import Silent

QKV = ("q_proj", "k_proj", "v_proj")


@pytest.mark.parametrize(
    "architecture", ["ChatGLMForConditionalGeneration", "GPTNeoXForCausalLM", "BloomForCausalLM"]
)
def test_each_of_the_three_has_its_rows_of_the_one_module(
    architecture: str, tmp_path: Path
) -> None:
    base = make_base(architecture, tmp_path / "base")
    found = structure_of(BaseFiles(name="b", location=str(base), fingerprint=""))
    slots = {slot.name: slot for slot in found.slots if slot.layer == 1}
    assert set(slots) == {*QKV, "o_proj", "up_proj", "down_proj"}
    head = WIDE // HEADS
    for place, name in enumerate(QKV):
        rows = torch.arange(3 * WIDE).view(HEADS, 3, head)[:, place].flatten()
        assert slots[name].index == rows.tolist()
    parts = [(slots[name], Factors(torch.randn(WIDE, 2), torch.randn(2, WIDE))) for name in QKV]
    whole = stacked(parts, 3 * WIDE).delta().view(HEADS, 3, head, WIDE)
    for place, (_, part) in enumerate(parts):
        torch.testing.assert_close(whole[:, place].flatten(0, 1), part.delta())


def test_a_llamas_adapter_copied_to_chatglm_lands_head_by_head(tmp_path: Path) -> None:
    llama = make_base("LlamaForCausalLM", tmp_path / "llama")
    host = make_base("ChatGLMForConditionalGeneration", tmp_path / "chatglm")
    adapter = write_adapter(llama, tmp_path / "a", targets=QKV)
    order = fusion_order({"method": "copy"}, {"a": adapter}, llama, tmp_path / "w", host=host)
    given, found = deltas(llama, adapter), deltas(host, fuse(order, Silent()).folder)
    assert len(found) == LAYERS
    for layer in range(LAYERS):
        [module] = [name for name in found if f".{layer}." in name]
        whole = found[module].view(HEADS, 3, WIDE // HEADS, WIDE)
        for place, name in enumerate(QKV):
            wanted = given[f"model.layers.{layer}.self_attn.{name}"]
            landed = whole[:, place].flatten(0, 1)
            torch.testing.assert_close(landed, wanted, rtol=1e-3, atol=1e-4)
