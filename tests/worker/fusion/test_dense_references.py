"""Each method on one base beside its formula on dense matrices, written here a second time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from donors import fused, random_donor
from fusions import relative
from references import each_against_its_reference

MODULE = "model.layers.0.self_attn.q_proj"
DONORS = {
    "a": random_donor(1, 4, modules={MODULE: (64, 64)}),
    "b": random_donor(2, 3, modules={MODULE: (64, 64)}),
    "c": random_donor(3, 5, modules={MODULE: (64, 64)}),
}
T = [DONORS[name][MODULE].delta().numpy() for name in DONORS]
W = [0.5, 0.2, 0.3]
RANKS = [4, 3, 5]
#: NumPy's own types say less than they need to here.
Array = Any


def top(x: Array, share: float) -> Array:
    cut = np.sort(np.abs(x), axis=None)[::-1][round(share * x.size) - 1]
    return np.abs(x) >= cut


def agree(parts: list[Array], weights: list[float], count: bool = False) -> Array:
    signs = np.sign(
        sum(np.sign(p) if count else w * p for w, p in zip(weights, parts, strict=True))
    )
    total, mass = np.zeros_like(parts[0]), np.zeros_like(parts[0])
    for part, weight in zip(parts, weights, strict=True):
        fits = (np.sign(part) == signs) & (part != 0)
        total[fits] += weight * part[fits]
        mass[fits] += weight
    return np.divide(total, mass, out=np.zeros_like(total), where=mass > 0) * sum(weights)


def ties() -> Array:
    return agree([x * top(x, 0.4) for x in T], W)


def ties_by_count() -> Array:
    return agree([x * top(x, 0.4) for x in T], W, count=True)


def prune() -> Array:
    return sum(w * x * top(x, 0.4) for w, x in zip(W, T, strict=True))


def breadcrumbs() -> Array:
    return sum(w * x * (top(x, 0.45) & ~top(x, 0.05)) for w, x in zip(W, T, strict=True))


def sce() -> Array:
    chosen = top(np.var(T, axis=0), 0.4)
    parts = [x * chosen for x in T]
    energy = np.array([np.mean(p**2) for p in parts])
    return agree(parts, list(energy / energy.sum()))


def knots_ties() -> Array:
    u, sigma, vh = np.linalg.svd(np.concatenate(T, axis=1), full_matrices=False)
    pieces = np.split(sigma[:12, None] * vh[:12], 3, axis=1)
    return u[:, :12] @ agree([x * top(x, 0.4) for x in pieces], W)


def core_ties() -> Array:
    u = np.linalg.svd(np.concatenate(T, axis=1))[0][:, :12]
    v = np.linalg.svd(np.concatenate(T, axis=0))[2][:12].T
    cores = [u.T @ x @ v for x in T]
    return u @ agree([x * top(x, 0.4) for x in cores], W) @ v.T


def stock() -> Array:
    flat = [x.ravel() / np.linalg.norm(x) for x in T]
    cosine = np.mean([flat[0] @ flat[1], flat[0] @ flat[2], flat[1] @ flat[2]])
    return 3 * cosine / (1 + 2 * cosine) * sum(T) / 3


def polar(x: Array) -> Array:
    """Orthonormal over the directions that are there: the donors share one."""
    p, sigma, qh = np.linalg.svd(x, full_matrices=False)
    there = sigma > 1e-5
    return p[:, there] @ qh[there]


def tsv(keep: float = 1.0) -> Array:
    triples = [np.linalg.svd(w * x) for w, x in zip(W, T, strict=True)]
    kept = [round(keep * r) for r in RANKS]
    u = np.concatenate([t[0][:, :r] for t, r in zip(triples, kept, strict=True)], axis=1)
    v = np.concatenate([t[2][:r].T for t, r in zip(triples, kept, strict=True)], axis=1)
    sigma = np.concatenate([t[1][:r] for t, r in zip(triples, kept, strict=True)])
    return polar(u) @ np.diag(sigma) @ polar(v).T


def iso_c() -> Array:
    u, sigma, vh = np.linalg.svd(sum(w * x for w, x in zip(W, T, strict=True)))
    rank = int((sigma > 1e-6 * sigma[0]).sum())
    return sigma[:rank].mean() * u[:, :rank] @ vh[:rank]


def iso_cts() -> Array:
    parts = [w * x for w, x in zip(W, T, strict=True)]
    u, sigma, vh = np.linalg.svd(sum(parts))
    rank = int((sigma > 1e-6 * sigma[0]).sum())
    own = (rank - round(0.5 * rank)) // 3
    shared = rank - 3 * own
    left, values, right = [u[:, :shared]], [sigma[:shared]], [vh[:shared].T]
    for part in parts:
        pu, ps, pv = np.linalg.svd(part - u[:, :shared] @ u[:, :shared].T @ part)
        left, values, right = [*left, pu[:, :own]], [*values, ps[:own]], [*right, pv[:own].T]
    wide = polar(np.concatenate(left, axis=1))
    high = polar(np.concatenate(right, axis=1))
    return np.concatenate(values).mean() * wide @ high.T


REFERENCES: dict[str, tuple[dict[str, Any], Callable[[], Array]]] = {
    "ties": ({"density": 0.4, "rank": 64}, ties),
    "ties by count": ({"density": 0.4, "rank": 64, "election": "count"}, ties_by_count),
    "ties in knots": ({"density": 0.4, "space": "knots"}, knots_ties),
    "ties in core": ({"density": 0.4, "space": "core"}, core_ties),
    "magnitude_prune": ({"density": 0.4, "rank": 64}, prune),
    "breadcrumbs": ({"density": 0.4, "outliers": 0.05, "rank": 64}, breadcrumbs),
    "sce": ({"density": 0.4, "rank": 64}, sce),
    "model_stock": ({}, stock),
    "tsv_m": ({}, tsv),
    "tsv_m half": ({"keep": 0.5}, lambda: tsv(0.5)),
    "iso_c": ({}, iso_c),
    "iso_cts": ({"common": 0.5}, iso_cts),
}  # fmt: skip
UNWEIGHTED = {"sce", "model_stock"}


@pytest.mark.parametrize("case", each_against_its_reference(REFERENCES))
def test_the_method_is_its_dense_formula(case: str, tmp_path: Path) -> None:
    given, reference = REFERENCES[case]
    method = case.split()[0]
    weights = {} if method in UNWEIGHTED else {"weights": W}
    found = fused({"method": method, **weights, **given}, DONORS, tmp_path)
    assert relative(found[MODULE], torch.from_numpy(reference())) < 1e-5


@pytest.mark.dense_reference("slerp")
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_slerp_of_two_goes_along_the_circle_between_them(share: float, tmp_path: Path) -> None:
    weights = [1 - share, share]
    two = {name: DONORS[name] for name in "ab"}
    found = fused({"method": "slerp", "weights": weights}, two, tmp_path)[MODULE]
    a, b = T[0] / np.linalg.norm(T[0]), T[1] / np.linalg.norm(T[1])
    angle = np.arccos(np.sum(a * b))
    unit = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    length = (1 - share) * np.linalg.norm(T[0]) + share * np.linalg.norm(T[1])
    assert relative(found, torch.from_numpy(unit * length)) < 1e-5


def test_the_spherical_mean_of_three_is_where_the_logarithms_cancel(tmp_path: Path) -> None:
    found = fused({"method": "slerp", "weights": W}, DONORS, tmp_path)[MODULE].numpy()
    centre = found / np.linalg.norm(found)
    pull = np.zeros_like(centre)
    for weight, update in zip(W, T, strict=True):
        unit = update / np.linalg.norm(update)
        cosine = np.sum(unit * centre)
        pull += weight * np.arccos(cosine) / np.sqrt(1 - cosine**2) * (unit - cosine * centre)
    assert np.linalg.norm(pull) < 1e-6


@pytest.mark.dense_reference("compress_then_merge")
@pytest.mark.parametrize("blend", [0.0, 1.0])
def test_tucker_bases_keep_as_much_as_a_dense_search_finds(blend: float, tmp_path: Path) -> None:
    given = {"method": "compress_then_merge", "rank": 4, "blend": blend, "weights": W}
    found = fused(given, DONORS, tmp_path)[MODULE].numpy()
    assert np.linalg.matrix_rank(found, tol=1e-6) <= 4
    scaled = [x / np.linalg.norm(x) ** blend for x in T]
    best, answer = 0.0, found
    for start in range(20):
        u = v = np.linalg.qr(np.random.default_rng(start).normal(size=(64, 4)))[0]
        for _ in range(200):
            u = np.linalg.svd(np.concatenate([x @ v for x in scaled], axis=1))[0][:, :4]
            v = np.linalg.svd(np.concatenate([x.T @ u for x in scaled], axis=1))[0][:, :4]
        kept = sum(np.linalg.norm(u.T @ x @ v) ** 2 for x in scaled)
        if kept > best:
            best, answer = kept, u @ u.T @ sum(w * x for w, x in zip(W, T, strict=True)) @ v @ v.T
    u, _, vh = np.linalg.svd(found)
    mine = sum(np.linalg.norm(u[:, :4].T @ x @ vh[:4].T) ** 2 for x in scaled)
    assert mine > 0.999 * best
    assert relative(torch.from_numpy(found), torch.from_numpy(answer)) < 1e-3


def lego(groups: int) -> Array:
    """k-means of the dense updates' units, each pair of unit and negative held as one."""
    svds = [np.linalg.svd(update) for update in T]
    units = [
        np.sqrt(sigma[i]) * np.concatenate([u[:, i], vh[i]])
        for (u, sigma, vh), rank in zip(svds, RANKS, strict=True)
        for i in range(rank)
    ]

    def gap(one: Array, other: Array) -> float:
        return float(min(np.linalg.norm(one - other), np.linalg.norm(one + other)))

    centres = [max(units, key=np.linalg.norm)]
    while len(centres) < groups:
        centres.append(max(units, key=lambda unit: min(gap(unit, c) for c in centres)))
    members: list[list[Array]] = []
    for _ in range(50):
        members = [[] for _ in centres]
        for unit in units:
            best = min(range(groups), key=lambda j: gap(unit, centres[j]))
            members[best].append(unit if unit @ centres[best] >= 0 else -unit)
        centres = [np.mean(each, axis=0) for each in members]
    lengths = [np.mean([np.linalg.norm(unit) for unit in each]) for each in members]
    ends = [n * c / np.linalg.norm(c) for n, c in zip(lengths, centres, strict=True)]
    return np.sqrt(np.mean(RANKS) / groups) * sum(np.outer(end[:64], end[64:]) for end in ends)


@pytest.mark.dense_reference("lora_lego")
@pytest.mark.parametrize("groups", [3, 7])
def test_lego_is_k_means_of_the_dense_units(groups: int, tmp_path: Path) -> None:
    found = fused({"method": "lora_lego", "rank": groups}, DONORS, tmp_path)[MODULE]
    assert relative(found, torch.from_numpy(lego(groups))) < 1e-4


def test_lego_groups_like_units_and_keeps_their_length(tmp_path: Path) -> None:
    """A unit shared by two adapters up to sign becomes one; at enough groups the sum is whole."""
    two = {"a": DONORS["a"], "twin": DONORS["a"]}
    found = fused({"method": "lora_lego", "rank": 4}, two, tmp_path / "twin")[MODULE]
    assert relative(found, DONORS["a"][MODULE].delta()) < 1e-5
    wide = fused({"method": "lora_lego", "rank": 12}, DONORS, tmp_path)[MODULE]
    assert relative(wide, torch.from_numpy(sum(T)) * (4 / 12) ** 0.5) < 1e-5
