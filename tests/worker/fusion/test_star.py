"""STAR beside its dense formula; what holds of every method is tested with the others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from donors import fused, random_donor
from fusions import relative

MODULE = "model.layers.1.mlp.down_proj"
DONORS = {
    name: random_donor(seed, 5, modules={MODULE: (64, 160)}) for seed, name in enumerate("ab")
}


@pytest.mark.dense_reference("star")
@pytest.mark.parametrize("keep", [0.1, 0.4, 0.9])
def test_star_is_truncation_and_rescale_of_the_dense_updates(keep: float, tmp_path: Path) -> None:
    wanted = np.zeros((64, 160))
    for weight, donor in zip([0.8, -0.3], DONORS.values(), strict=True):
        u, sigma, vh = np.linalg.svd(donor[MODULE].delta().numpy(), full_matrices=False)
        rank = next(r for r in range(1, 65) if sigma[:r].sum() >= keep * sigma.sum())
        assert rank == {0.1: 1, 0.4: 2, 0.9: 5}[keep]
        part = sum(sigma[i] * np.outer(u[:, i], vh[i]) for i in range(rank))
        wanted += weight * part * sigma.sum() / sigma[:rank].sum()
    given = {"method": "star", "keep": keep, "weights": [0.8, -0.3]}
    assert relative(fused(given, DONORS, tmp_path)[MODULE], torch.from_numpy(wanted)) < 1e-5


def test_the_nuclear_norm_of_one_adapter_stays(tmp_path: Path) -> None:
    one = {"a": DONORS["a"]}
    found, whole = fused({"method": "star"}, one, tmp_path)[MODULE], DONORS["a"][MODULE].delta()
    norms = [float(torch.linalg.matrix_norm(each, "nuc")) for each in (found, whole)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    assert torch.linalg.matrix_rank(found, rtol=1e-5) < torch.linalg.matrix_rank(whole, rtol=1e-5)
