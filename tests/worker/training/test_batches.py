"""Rows of a step, groups of like length, and where in a batch the labels are."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.specs import TrainingSpec
from worker.training.batches import collate, micro_batches, schedule, seed_of
from worker.training.examples import Example
from worker.training.rates import learning_rate


def spec(**values: float | int | str) -> TrainingSpec:
    return TrainingSpec.model_validate({"name": "a", "base_model": "b", "dataset": "d"} | values)


@given(st.integers(1, 40), st.integers(1, 16), st.integers(1, 4), st.integers(0, 2**31 - 1))
def test_every_epoch_visits_every_row_once(
    rows: int, batch_size: int, epochs: int, seed: int
) -> None:
    plan = schedule(rows, spec(epochs=epochs, batch_size=batch_size, seed=seed))
    visits = [row for step in range(plan.steps) for row in plan.rows_of(step)]
    assert len(visits) == rows * epochs
    for epoch in range(epochs):
        assert sorted(visits[epoch * rows : (epoch + 1) * rows]) == list(range(rows))
    assert all(len(plan.rows_of(step)) == batch_size for step in range(plan.steps - 1))


def test_epochs_have_orders_of_their_own_and_seeds_change_them() -> None:
    plan = schedule(50, spec(epochs=2, batch_size=50))
    other = schedule(50, spec(epochs=2, batch_size=50, seed=1))
    orders = [plan.rows_of(0), plan.rows_of(1), other.rows_of(0), other.rows_of(1)]
    assert len({tuple(order) for order in orders}) == 4


def test_max_steps_goes_before_epochs_and_part_of_an_epoch_counts() -> None:
    assert schedule(10, spec(epochs=3, max_steps=7, batch_size=4)).steps == 7
    assert schedule(10, spec(epochs=0.5, batch_size=2)).steps == 3


@given(
    st.lists(st.integers(2, 300), min_size=1, max_size=40), st.integers(1, 8), st.integers(0, 200)
)
def test_micro_batches_hold_every_row_once_and_keep_both_limits(
    lengths: list[int], most: int, spare: int
) -> None:
    groups = micro_batches(range(len(lengths)), dict(enumerate(lengths)), most, spare)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[row] for row in group)
        assert len(group) <= most
        assert sum(longest - lengths[row] for row in group) <= spare


def test_rows_of_one_length_stay_together() -> None:
    assert micro_batches([4, 2, 3], {2: 9, 3: 9, 4: 9}, 16, 0) == [[2, 3, 4]]


def test_a_batchs_places_are_where_the_next_token_is_a_label() -> None:
    batch = collate([Example.answering((5, 6, 7, 8), 2), Example.answering((5, 9, 3), 1)], 0, "cpu")
    assert batch.input_ids.tolist() == [[5, 6, 7], [5, 9, 0]]
    assert batch.places.tolist() == [1, 2, 3, 4]
    assert batch.targets.tolist() == [7, 8, 9, 3]
    assert batch.input_ids.flatten()[batch.places].tolist() == [6, 7, 5, 9]


def test_seeds_of_a_job_differ_by_number_and_stay_in_torchs_range() -> None:
    seeds = {seed_of(seed, number) for seed in range(3) for number in range(-100, 100)}
    assert len(seeds) == 600
    torch.manual_seed(max(seeds))


def test_the_rate_rises_to_its_peak_and_falls_towards_zero() -> None:
    parameters = spec(learning_rate=0.1, warmup_ratio=0.2, schedule="cosine")
    rates = [learning_rate(step, 10, parameters) for step in range(10)]
    assert rates[:3] == [0.05, 0.1, 0.1]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert 0 < rates[-1] < 0.005


def test_a_constant_rate_stays_at_its_peak_and_no_warm_up_starts_there() -> None:
    parameters = spec(learning_rate=0.1, warmup_ratio=0, schedule="linear")
    assert [learning_rate(step, 4, parameters) for step in (0, 2, 4)] == [0.1, 0.05, 0]
    parameters = spec(learning_rate=0.1, warmup_ratio=0, schedule="constant")
    assert [learning_rate(step, 3, parameters) for step in range(3)] == [0.1, 0.1, 0.1]
