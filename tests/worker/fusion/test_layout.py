"""Adapters with projections fused or split unlike their base's: the same outputs, or refused."""

from pathlib import Path

import pytest
import torch

from donors import Donor, write_donors
from fusions import fusion_order, load, logits, relative, with_added
from shared.errors import UnsupportedAdapter
from tiny_bases import make_glm
from worker.fusion import fuse
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import Factors
from worker.reporting import Silent

LAYER = "model.layers.0"
SUM = {"method": "weighted_sum"}


def factors(out: int, width: int, rank: int, seed: int) -> Factors:
    generator = torch.Generator().manual_seed(seed)
    b = torch.randn(out, rank, generator=generator)
    return Factors(0.2 * b, 0.2 * torch.randn(rank, width, generator=generator))


def fused(donors: dict[str, Donor], base: Path, folder: Path) -> CanonicalAdapter:
    paths = write_donors(donors, folder / "donors")
    made = fuse(fusion_order(SUM, paths, base, folder / "job"), Silent())
    return CanonicalAdapter("fused", made.folder)


def test_a_fused_qkv_lands_in_the_three_projections_at_its_own_rank(
    tiny_llama: Path, tmp_path: Path
) -> None:
    """The base has 4 heads over 2 KV heads of 16: 64 rows of q, 32 of k, 32 of v."""
    whole = factors(128, 64, 5, 1)
    made = fused({"packed": {f"{LAYER}.self_attn.qkv_proj": whole}}, tiny_llama, tmp_path)
    rows = {"q_proj": (0, 64), "k_proj": (64, 96), "v_proj": (96, 128)}
    dense = whole.delta()
    assert set(made.modules) == {f"{LAYER}.self_attn.{name}" for name in rows}
    for name, (start, stop) in rows.items():
        module = f"{LAYER}.self_attn.{name}"
        assert made.modules[module].rank == 5
        assert relative(made.factors(module).delta(), dense[start:stop]) < 1e-6
    wanted = {
        f"{LAYER}.self_attn.{name}": dense[start:stop] for name, (start, stop) in rows.items()
    }
    folder = tmp_path / "job" / "out"
    by_hand = logits(with_added(tiny_llama, wanted))
    assert relative(logits(load(tiny_llama, folder)), by_hand) < 1e-5


def test_split_gate_and_up_land_in_the_fused_one_at_the_sum_of_ranks(tmp_path: Path) -> None:
    glm = make_glm(tmp_path / "glm")
    gate, up = factors(112, 48, 2, 1), factors(112, 48, 3, 2)
    split = {f"{LAYER}.mlp.gate_proj": gate, f"{LAYER}.mlp.up_proj": up}
    own = factors(224, 48, 4, 3)
    module = f"{LAYER}.mlp.gate_up_proj"
    made = fused({"split": split, "own": {module: own}}, glm, tmp_path)
    wanted = 0.5 * (torch.cat([gate.delta(), up.delta()]) + own.delta())
    assert made.modules[module].rank == 9
    assert relative(made.factors(module).delta(), wanted) < 1e-6
    by_hand = logits(with_added(glm, {module: wanted}))
    assert relative(logits(load(glm, tmp_path / "job" / "out")), by_hand) < 1e-5


def test_a_fused_module_of_another_size_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    odd = {f"{LAYER}.self_attn.qkv_proj": factors(96, 64, 2, 1)}
    with pytest.raises(UnsupportedAdapter, match=r"qkv_proj 96x64.*another layout"):
        fused({"odd": odd}, tiny_llama, tmp_path)


def test_half_of_a_fused_module_is_refused(tmp_path: Path) -> None:
    glm = make_glm(tmp_path / "glm")
    half = {f"{LAYER}.mlp.gate_proj": factors(112, 48, 2, 1)}
    with pytest.raises(UnsupportedAdapter, match=r"gate_proj 112x48.*another layout"):
        fused({"half": half}, glm, tmp_path)
