"""The low-rank algebra against dense matrices, and its invariances."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fusions import relative
from worker.fusion.factors import CoreSpace, Factors, compressed, numerical_rank
from worker.fusion.weighted_sum import sum_updates

seeds = st.integers(0, 2**31 - 1)
ranks = st.lists(st.integers(1, 7), min_size=1, max_size=4)
weights = st.floats(0.1, 3.0) | st.floats(-3.0, -0.1)
quick = settings(max_examples=20, deadline=None)


def random_factors(seed: int, rank: int, out: int = 24, width: int = 17) -> Factors:
    generator = torch.Generator().manual_seed(seed)
    return Factors(
        torch.randn(out, rank, generator=generator), torch.randn(rank, width, generator=generator)
    )


def dense(updates: list[Factors], shares: list[float]) -> Tensor:
    """Σ w·B·A by plain matrix products."""
    total = torch.zeros(updates[0].shape, dtype=torch.float64)
    for update, share in zip(updates, shares, strict=True):
        total += share * (update.b.double() @ update.a.double())
    return total


@quick
@given(ranks, st.data())
def test_a_sum_of_any_ranks_and_weights_is_the_dense_sum(sizes: list[int], data: st.DataObject):
    updates = [random_factors(data.draw(seeds), rank) for rank in sizes]
    shares = [data.draw(weights) for _ in sizes]
    wanted = dense(updates, shares)
    inputs = sum(float(dense([u], [w]).norm()) for u, w in zip(updates, shares, strict=True))
    made = sum_updates(updates, shares)
    assert made.inputs == pytest.approx(inputs, rel=1e-9)
    assert made.fused.norm == pytest.approx(float(wanted.norm()), abs=1e-9 * inputs)
    assert float((made.fused.factors.delta() - wanted).norm()) <= 1e-6 * inputs
    assert made.fused.factors.rank <= min(sum(sizes), *wanted.shape)


@quick
@given(ranks, st.integers(1, 12), st.data())
def test_a_truncated_sum_reaches_the_eckart_young_optimum(
    sizes: list[int], rank: int, data: st.DataObject
):
    updates = [random_factors(data.draw(seeds), size) for size in sizes]
    wanted = dense(updates, [1.0] * len(sizes))
    sigma = torch.linalg.svdvals(wanted)
    made = sum_updates(updates, [1.0] * len(sizes), rank).fused
    optimum = float(sigma[rank:].square().sum())
    energy = float(sigma.square().sum())
    assert made.factors.rank <= rank
    assert made.dropped == pytest.approx(optimum, abs=1e-9 * energy)
    error = float((made.factors.delta() - wanted).square().sum())
    assert error == pytest.approx(optimum, abs=1e-6 * energy)


@quick
@given(ranks, st.integers(0, 8), st.randoms(use_true_random=False), st.data())
def test_the_order_of_the_adapters_changes_nothing(
    sizes: list[int], rank: int, dice: object, data: st.DataObject
):
    updates = [random_factors(data.draw(seeds), size) for size in sizes]
    shares = [data.draw(weights) for _ in sizes]
    order = data.draw(st.permutations(range(len(sizes))))
    there = sum_updates(updates, shares, rank)
    back = sum_updates([updates[i] for i in order], [shares[i] for i in order], rank)
    scale = there.inputs
    assert back.fused.norm == pytest.approx(there.fused.norm, abs=1e-9 * scale)
    assert back.fused.dropped == pytest.approx(there.fused.dropped, abs=1e-9 * scale**2)
    if not rank:
        gap = there.fused.factors.delta() - back.fused.factors.delta()
        assert float(gap.norm()) <= 1e-6 * scale


@quick
@given(st.integers(1, 7), seeds, seeds, st.floats(0.0, 3.0))
def test_rotating_an_adapters_factors_changes_nothing(
    rank: int, seed: int, turn: int, spread: float
):
    """(A, B) and (R·A, B·R⁻¹) are one update; `spread` is log10 of R's condition number."""
    update, other = random_factors(seed, rank), random_factors(seed + 1, 3)
    generator = torch.Generator().manual_seed(turn)
    left, _ = torch.linalg.qr(torch.randn(rank, rank, generator=generator, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(rank, rank, generator=generator, dtype=torch.float64))
    turned = left @ torch.diag(torch.logspace(0, -spread, rank, dtype=torch.float64)) @ right
    rotated = Factors(update.b.double() @ torch.linalg.inv(turned), turned @ update.a.double())
    for rank_out in (0, 2):
        plain = sum_updates([update, other], [0.5, 2.0], rank_out).fused
        gauged = sum_updates([rotated, other], [0.5, 2.0], rank_out).fused
        assert relative(gauged.factors.delta(), plain.factors.delta()) < 1e-5
        assert relative(gauged.factors.b @ gauged.factors.b.T,
                        plain.factors.b @ plain.factors.b.T) < 1e-5  # fmt: skip


@quick
@given(st.integers(1, 7), seeds, weights)
def test_one_adapter_at_weight_w_is_that_adapter_times_w(rank: int, seed: int, weight: float):
    update = random_factors(seed, rank)
    assert relative(sum_updates([update], [1.0]).fused.factors.delta(), update.delta()) < 1e-6
    scaled = sum_updates([update], [weight]).fused.factors.delta()
    assert relative(scaled, weight * update.delta()) < 1e-6


def test_an_adapter_and_its_rotated_copy_keep_the_rank_of_one():
    update = random_factors(0, 5)
    turn, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64,
                                          generator=torch.Generator().manual_seed(1)))  # fmt: skip
    copy = Factors(update.b.double() @ turn.T, turn @ update.a.double())
    made = sum_updates([update, copy], [0.5, 0.5])
    assert made.fused.factors.rank == 5
    assert relative(made.fused.factors.delta(), update.delta()) < 1e-6


def test_opposite_weights_on_equal_updates_cancel():
    update = random_factors(0, 5)
    assert sum_updates([update, update], [1.0, -1.0]).cancelled
    rotated = Factors(-update.b.flip(1), -update.a.flip(0))
    assert sum_updates([update, rotated], [1.0, -1.0]).cancelled
    assert not sum_updates([update, update], [1.0, -0.999]).cancelled


def test_a_small_difference_of_large_updates_keeps_its_digits():
    update, small = random_factors(0, 5), random_factors(1, 3).scaled(1e-3)
    both = Factors(torch.cat([update.b, small.b], 1), torch.cat([update.a, small.a], 0))
    made = sum_updates([both, update], [1.0, -1.0]).fused.factors
    assert relative(made.delta(), small.delta()) < 1e-6


def test_badly_scaled_factors_lose_nothing():
    """Factors in a gauge of condition 10⁴, where Householder in fp32 is wrong by 10⁻⁴."""
    update = random_factors(0, 8, 96, 80)
    turn = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    turn = turn @ torch.diag(torch.logspace(0, -4, 8, dtype=torch.float64))
    gauged = Factors(
        (update.b.double() @ torch.linalg.inv(turn)).float(), (turn @ update.a.double()).float()
    )
    assert relative(compressed(gauged).delta(), gauged.delta()) < 1e-6


def test_a_rank_above_the_module_is_cut_to_it():
    wide = random_factors(0, 40, 24, 17)
    made = compressed(wide)
    assert made.rank == 17
    assert relative(made.delta(), wide.delta()) < 1e-6


def test_cores_are_the_updates_in_common_coordinates():
    updates = [random_factors(seed, rank) for seed, rank in enumerate((3, 5))]
    space = CoreSpace(updates)
    for update, core in zip(updates, space.cores, strict=True):
        assert relative(space.realise(core).factors.delta(), update.delta()) < 1e-6


def test_a_zero_core_has_rank_zero():
    assert numerical_rank(torch.zeros(4)) == 0
    assert compressed(Factors(torch.zeros(6, 2), torch.ones(2, 5))).rank == 0
