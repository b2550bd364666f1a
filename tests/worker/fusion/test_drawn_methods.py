"""DARE, DARE-TIES and DELLA on dense matrices: what is kept is as their formulas say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from donors import fused, random_donor
from fusions import relative

MODULE = "model.layers.0.self_attn.q_proj"
DONORS = {
    "a": random_donor(1, 4, modules={MODULE: (64, 64)}),
    "b": random_donor(2, 3, modules={MODULE: (64, 64)}),
}
T = [DONORS[name][MODULE].delta().numpy() for name in DONORS]
#: NumPy's own types say less than they need to here.
Array = Any


def kept(method: str, folder: Path, **params: Any) -> list[Array]:
    """Of each adapter what the method keeps: with the other's weight at 0, the same draws."""
    given = {"method": method, "rank": 64, **params}
    alone = [{"weights": [1.0, 0.0]}, {"weights": [0.0, 1.0]}]
    found = [fused(given | own, DONORS, folder / f"{n}")[MODULE] for n, own in enumerate(alone)]
    return [np.where(np.abs(part.numpy()) > 3e-8, part.numpy(), 0.0) for part in found]


def close(found: Array, wanted: Array) -> None:
    assert relative(torch.from_numpy(found), torch.from_numpy(wanted)) < 1e-4


@pytest.mark.dense_reference("dare")
def test_dare_keeps_elements_divided_by_the_density_and_sums_them(tmp_path: Path) -> None:
    parts = kept("dare", tmp_path, density=0.3)
    for part, update in zip(parts, T, strict=True):
        close(part, np.where(part != 0, update / 0.3, 0.0))
        assert np.mean(part != 0) == pytest.approx(0.3, abs=0.03)
    assert np.mean((parts[0] != 0) == (parts[1] != 0)) < 0.7
    given = {"method": "dare", "rank": 64, "density": 0.3, "weights": [0.7, 0.2]}
    close(fused(given, DONORS, tmp_path)[MODULE].numpy(), 0.7 * parts[0] + 0.2 * parts[1])


@pytest.mark.dense_reference("dare_ties")
def test_dare_ties_is_the_election_among_what_dare_keeps(tmp_path: Path) -> None:
    parts = kept("dare", tmp_path, density=0.6)
    given = {"method": "dare_ties", "rank": 64, "density": 0.6, "weights": [0.7, 0.2]}
    close(fused(given, DONORS, tmp_path)[MODULE].numpy(), elected(parts, [0.7, 0.2]))


@pytest.mark.dense_reference("della")
def test_della_keeps_elements_divided_by_their_own_chance(tmp_path: Path) -> None:
    params = {"density": 0.5, "epsilon": 0.3}
    parts = kept("della", tmp_path, election="none", **params)
    for part, update in zip(parts, T, strict=True):
        places = np.argsort(np.argsort(np.abs(update), axis=1), axis=1)
        chance = 0.2 + 0.6 * places / 63
        close(part, np.where(part != 0, update / chance, 0.0))
    given = {"method": "della", "rank": 64, "weights": [0.7, 0.2], **params}
    close(fused(given, DONORS, tmp_path)[MODULE].numpy(), elected(parts, [0.7, 0.2]))


def elected(parts: list[Array], weights: list[float]) -> Array:
    """The mean of the elements whose sign is that of their weighted sum, times Σ w."""
    weighted = [weight * part for weight, part in zip(weights, parts, strict=True)]
    fits = [(np.sign(part) == np.sign(sum(weighted))) & (part != 0) for part in parts]
    mass = sum(weight * each for weight, each in zip(weights, fits, strict=True))
    total = sum(np.where(each, part, 0.0) for part, each in zip(weighted, fits, strict=True))
    return np.divide(total, mass, out=np.zeros_like(total), where=mass > 0) * sum(weights)


@pytest.mark.parametrize("method", ["dare", "dare_ties", "della"])
def test_draws_keep_the_share_they_say_and_the_mean_they_had(method: str, tmp_path: Path) -> None:
    one = {"a": DONORS["a"]}
    wanted = DONORS["a"][MODULE].delta()
    seeds = range(40)
    given = {"method": method, "density": 0.5, "rank": 64}
    parts = [fused(given | {"seed": seed}, one, tmp_path / f"{seed}") for seed in seeds]
    kept = [float((part[MODULE].abs() > 1e-6).double().mean()) for part in parts]
    assert sum(kept) / len(kept) == pytest.approx(0.5, abs=0.02)
    mean = torch.stack([part[MODULE] for part in parts]).mean(dim=0)
    # One draw is off by its own norm (chance 1/2), the mean of 40 by that over √40 ≈ 0.16.
    assert relative(parts[0][MODULE], wanted) > 0.7
    assert relative(mean, wanted) < 0.2


def test_a_seed_repeats_its_draws_and_another_does_not(tmp_path: Path) -> None:
    first, again, other = (
        fused({"method": "dare", "seed": seed}, DONORS, tmp_path / str(number))[MODULE]
        for number, seed in enumerate((7, 7, 8))
    )
    assert torch.equal(first, again)
    assert relative(other, first) > 0.1


def test_della_keeps_large_elements_more_often(tmp_path: Path) -> None:
    wanted = DONORS["a"][MODULE].delta()
    large = wanted.abs() >= wanted.abs().quantile(0.75)
    given = {"method": "della", "density": 0.5, "epsilon": 0.3, "rank": 64}
    kept = fused(given, {"a": DONORS["a"]}, tmp_path)[MODULE].abs() > 1e-6
    assert float(kept[large].double().mean()) > 0.65
    assert float(kept[~large].double().mean()) < 0.5
