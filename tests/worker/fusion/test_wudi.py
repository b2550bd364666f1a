"""WUDI beside the slope of its loss; what holds of every method is tested with the others."""

from pathlib import Path

import pytest
import torch

from donors import fused, random_donor
from fusions import relative

MODULE = "model.layers.0.self_attn.k_proj"
DONORS = {name: random_donor(seed, 3, modules={MODULE: (32, 64)}) for seed, name in enumerate("ab")}


@pytest.mark.dense_reference("wudi")
def test_no_other_update_interferes_less(tmp_path: Path) -> None:
    updates = [donor[MODULE].delta() for donor in DONORS.values()]

    def loss(merged: torch.Tensor) -> torch.Tensor:
        parts = [((merged - u) @ u.T).square().sum() / u.square().sum() for u in updates]
        return torch.stack(parts).sum()

    found = fused({"method": "wudi"}, DONORS, tmp_path)[MODULE].requires_grad_()
    (slope,) = torch.autograd.grad(loss(found), found)
    plain = torch.stack(updates).mean(dim=0).requires_grad_()
    (steep,) = torch.autograd.grad(loss(plain), plain)
    assert slope.norm() < 1e-5 * steep.norm()
    assert loss(found) < 0.5 * loss(plain)


def test_adapters_that_never_meet_are_all_kept_whole(tmp_path: Path) -> None:
    """With no input in common nothing has to give way: the result is the plain sum."""
    apart = {}
    for place, (name, donor) in enumerate(DONORS.items()):
        factors = donor[MODULE]
        mask = torch.zeros(64)
        mask[32 * place : 32 * (place + 1)] = 1.0
        apart[name] = {MODULE: type(factors)(factors.b, factors.a * mask)}
    found = fused({"method": "wudi"}, apart, tmp_path)[MODULE]
    wanted = torch.stack([donor[MODULE].delta() for donor in apart.values()]).sum(dim=0)
    assert relative(found, wanted) < 1e-4
