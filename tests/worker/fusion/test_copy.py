"""Copying across bases: the map, exact splitting and stacking, and NO-OP where nothing lands."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, Phi3Config

from fusions import base_files, deltas, fusion_order, load, logits, relative, with_added
from shared.errors import NoOp, WrongCount
from tiny_bases import make_glm, make_llama, write_adapter
from worker.fusion import fuse
from worker.fusion.module_map import layer_map, map_modules
from worker.fusion.structure import structure, structure_of
from worker.reporting import Silent

#: A GLM shape that equals the tiny LLaMA's but for the fused projections and the depth.
TWIN = {
    "hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip


def q(layer: int) -> str:
    return f"model.layers.{layer}.self_attn.q_proj"


def mlp(layer: int, name: str) -> str:
    return f"model.layers.{layer}.mlp.{name}"


@pytest.mark.parametrize(
    ("donor", "host", "wanted"),
    [
        (4, 4, [0, 1, 2, 3]),
        (7, 8, [0, 1, 2, 3, 3, 4, 5, 6]),
        (2, 3, [0, 0, 1]),
        (8, 3, [0, 4, 7]),
        (5, 1, [2]),
        (1, 3, [0, 0, 0]),
    ],
)
def test_layers_map_by_relative_depth(donor: int, host: int, wanted: list[int]):
    assert layer_map(donor, host) == wanted


@pytest.mark.dense_reference("copy")
def test_a_copy_onto_the_same_shape_is_the_donors_update(tiny_llama: Path, tmp_path: Path):
    host = make_llama(tmp_path / "other-llama", seed=5)
    adapter = write_adapter(tiny_llama, tmp_path / "a", rank=5, use_rslora=True)
    params = {"method": "copy", "scale": 0.5}
    order = fusion_order(params, {"a": adapter}, tiny_llama, tmp_path, host=host)
    made = fuse(order, Silent())
    wanted = {name: 0.5 * delta for name, delta in deltas(tiny_llama, adapter).items()}
    found = deltas(host, made.folder)
    assert found.keys() == wanted.keys()
    assert all(relative(found[name], wanted[name]) < 1e-5 for name in wanted)
    assert relative(logits(load(host, made.folder)), logits(with_added(host, wanted))) < 1e-5
    assert made.facts["skipped"] == {}
    assert made.facts["logit_change"] > 0


def test_split_projections_are_stacked_exactly_and_shared_layers_halved(
    tiny_llama: Path, tmp_path: Path
):
    host = make_glm(tmp_path / "glm", **TWIN, num_hidden_layers=3)
    adapter = write_adapter(tiny_llama, tmp_path / "a")
    order = fusion_order({"method": "copy"}, {"a": adapter}, tiny_llama, tmp_path, host=host)
    made = fuse(order, Silent())
    donor, found = deltas(tiny_llama, adapter), deltas(host, made.folder)
    # Three layers on two: 0 -> 0, 1 -> 0, 2 -> 1.
    for layer, source, share in ((0, 0, 0.5), (1, 0, 0.5), (2, 1, 1.0)):
        stacked = torch.cat([donor[mlp(source, "gate_proj")], donor[mlp(source, "up_proj")]])
        assert relative(found[mlp(layer, "gate_up_proj")], share * stacked) < 1e-5
        assert relative(found[q(layer)], share * donor[q(source)]) < 1e-5
    assert relative(logits(load(host, made.folder)), logits(with_added(host, found))) < 1e-5
    landed = made.facts["matched"][mlp(1, "gate_up_proj")]
    assert [each["part"] for each in landed] == ["gate_proj", "up_proj"]
    assert made.rank == 8


def test_fused_projections_are_split_exactly(tiny_llama: Path, tmp_path: Path):
    donor_base = make_glm(tmp_path / "glm", **TWIN, num_hidden_layers=2)
    adapter = write_adapter(donor_base, tmp_path / "a")
    order = fusion_order({"method": "copy"}, {"a": adapter}, donor_base, tmp_path, host=tiny_llama)
    made = fuse(order, Silent())
    donor, found = deltas(donor_base, adapter), deltas(tiny_llama, made.folder)
    for layer in (0, 1):
        gate, up = donor[mlp(layer, "gate_up_proj")].split(160)
        assert relative(found[mlp(layer, "gate_proj")], gate) < 1e-5
        assert relative(found[mlp(layer, "up_proj")], up) < 1e-5
    # Both halves share the donor's A, so nothing needs a higher rank.
    assert made.rank == 4


def test_fused_onto_fused_keeps_the_rank(tmp_path: Path):
    donor_base, host = (make_glm(tmp_path / f"glm{seed}", seed=seed) for seed in (1, 2))
    adapter = write_adapter(donor_base, tmp_path / "a", targets=["gate_up_proj"])
    order = fusion_order({"method": "copy"}, {"a": adapter}, donor_base, tmp_path, host=host)
    made = fuse(order, Silent())
    donor, found = deltas(donor_base, adapter), deltas(host, made.folder)
    assert all(relative(found[name], donor[name]) < 1e-5 for name in donor)
    assert made.rank == 4


def test_packed_attention_is_split_by_heads():
    config = Phi3Config(
        hidden_size=64, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=1,
        intermediate_size=160, architectures=["Phi3ForCausalLM"], pad_token_id=0,
    )  # fmt: skip
    found = structure("phi", config, {"model.layers.0.self_attn.qkv_proj": (128, 64)})
    slots = [(slot.name, slot.start, slot.rows) for slot in found.slots]
    assert slots == [("q_proj", 0, 64), ("k_proj", 64, 32), ("v_proj", 96, 32)]


def padded(delta: Tensor, rows: int, width: int) -> Tensor:
    """Zero-filled or cut to rows×width."""
    out = torch.zeros(rows, width, dtype=delta.dtype)
    part = delta[:rows, :width]
    out[: part.shape[0], : part.shape[1]] = part
    return out


@pytest.mark.parametrize("wider_host", [True, False])
def test_padding_fills_with_zeros_or_cuts(
    tiny_llama: Path, tiny_glm: Path, tmp_path: Path, wider_host: bool
):
    donor_base, host = (tiny_glm, tiny_llama) if wider_host else (tiny_llama, tiny_glm)
    adapter = write_adapter(donor_base, tmp_path / "a", targets=["q_proj", "down_proj"])
    params = {"method": "copy", "resize": "pad"}
    order = fusion_order(params, {"a": adapter}, donor_base, tmp_path, host=host)
    made = fuse(order, Silent())
    donor, found = deltas(donor_base, adapter), deltas(host, made.folder)
    for name in (q(0), mlp(0, "down_proj")):
        rows, width = found[name].shape
        share = made.facts["matched"][name][0]["share"]
        assert relative(found[name], share * padded(donor[name], rows, width)) < 1e-5


def test_a_copy_between_other_shapes_is_a_no_op_that_says_why(
    tiny_llama: Path, tiny_glm: Path, tmp_path: Path
):
    adapter = write_adapter(tiny_llama, tmp_path / "a")
    order = fusion_order({"method": "copy"}, {"a": adapter}, tiny_llama, tmp_path, host=tiny_glm)
    with pytest.raises(NoOp) as refused:
        fuse(order, Silent())
    wanted = (
        r'NO-OP: none of the 14 modules of "a" exists in tiny-glm with the same size: e\.g\. '
        r"donor model\.layers\.0\.self_attn\.q_proj: 64x64, "
        r"host model\.layers\.0\.self_attn\.q_proj 48x48;"
    )
    assert re.search(wanted, str(refused.value))
    assert not list(order.folder.glob("out/*"))


def test_modules_the_host_lacks_are_skipped_with_a_reason(tiny_llama: Path, tmp_path: Path):
    host_config = AutoConfig.from_pretrained(tiny_llama)
    host = structure("bare", host_config, {q(0): (64, 64), q(1): (64, 64)})
    donor = structure(
        "donor", host_config, {q(0): (64, 64), mlp(1, "up_proj"): (160, 64), "lm_head": (384, 64)}
    )
    found = map_modules(donor, host, "refuse")
    assert found.landed == {q(0)}
    assert found.skipped == {
        mlp(1, "up_proj"): "bare has no up_proj",
        "lm_head": "only modules inside the layers have a counterpart",
    }


def test_layers_no_host_layer_maps_to_are_skipped_with_a_reason(tmp_path: Path):
    deep = make_llama(tmp_path / "deep", num_hidden_layers=3)
    shallow = make_llama(tmp_path / "shallow", num_hidden_layers=2, seed=3)
    adapter = write_adapter(deep, tmp_path / "a", targets=["q_proj"])
    order = fusion_order({"method": "copy"}, {"a": adapter}, deep, tmp_path, host=shallow)
    made = fuse(order, Silent())
    assert made.facts["skipped"] == {q(1): "no layer of shallow is mapped to its layer"}
    donor, found = deltas(deep, adapter), deltas(shallow, made.folder)
    assert relative(found[q(1)], donor[q(2)]) < 1e-5


def test_an_untrained_donor_is_a_no_op(tiny_llama: Path, tmp_path: Path):
    host = make_llama(tmp_path / "other", seed=5)
    adapter = write_adapter(tiny_llama, tmp_path / "a", scale=0.0)
    order = fusion_order({"method": "copy"}, {"a": adapter}, tiny_llama, tmp_path, host=host)
    with pytest.raises(NoOp, match=r'in every module of "a" one factor is zero'):
        fuse(order, Silent())


def test_a_copy_that_moves_no_logit_is_a_no_op(tiny_llama: Path, tmp_path: Path):
    """Updates too small for fp32 to add to anything: weights land, behaviour stays."""
    host = make_llama(tmp_path / "other", seed=5)
    adapter = write_adapter(tiny_llama, tmp_path / "a", scale=1e-12)
    order = fusion_order({"method": "copy"}, {"a": adapter}, tiny_llama, tmp_path, host=host)
    with pytest.raises(NoOp, match=r'what landed of "a" leaves every logit of other unchanged'):
        fuse(order, Silent())


def test_a_transfer_of_two_adapters_is_refused(tiny_llama: Path, tiny_glm: Path, tmp_path: Path):
    adapter = write_adapter(tiny_llama, tmp_path / "a")
    both = {"a": adapter, "b": adapter}
    order = fusion_order({"method": "copy"}, both, tiny_llama, tmp_path, host=tiny_glm)
    with pytest.raises(WrongCount, match="copy takes one adapter, but 2 were given"):
        fuse(order, Silent())


def test_the_hosts_structure_is_read_without_its_weights(tiny_glm: Path, tmp_path: Path):
    for name in ("config.json", "generation_config.json"):
        (tmp_path / name).write_bytes((tiny_glm / name).read_bytes())
    found = structure_of(base_files(tmp_path))
    assert found.layers == 3
    sizes = {slot.name: slot.size for slot in found.slots if slot.layer == 2}
    assert sizes == {
        "q_proj": "48x48", "k_proj": "16x48", "v_proj": "16x48", "o_proj": "48x48",
        "gate_proj": "112x48", "up_proj": "112x48", "down_proj": "48x112",
    }  # fmt: skip
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["GlmForCausalLM"]
