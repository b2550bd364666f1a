"""A training in two processes has the numbers of one and ends as one: stopped, killed, failed."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from orders_of import ROWS, order_for, preferring
from shared.errors import Internal, NotFinite, OutOfMemory, RunnerDied
from shared.orders import WorkOrder
from tiny_bases import make_llama
from worker.checkpoints import load_base
from worker.reporting import AdapterResult, Silent, Stopped, Unheard
from worker.training import loop, place_of, stepping, train, train_adapter
from worker.training.crew import Crew, divided
from worker.training.examples import Example
from worker.training.spreading import load_spread
from worker.training.together import together

# Python 3.12 warns of any fork beside threads; these processes compute on one.
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
STEPS = 20
PARAMETERS: dict[str, Any] = {
    "max_steps": STEPS, "batch_size": 5, "micro_batch_size": 2, "checkpoint_every": 8,
}  # fmt: skip
#: Answers of very unlike length.
MIXED = [row | {"output": row["output"] * (1 + 2 * n)} for n, row in enumerate(ROWS)]
PREFERENCES = preferring(MIXED)
KINDS: dict[str, dict[str, Any]] = {
    "packed, looks": {"look_every": 10},
    "preferences, padded": {"objective": "dpo", "packing": False},
    "prefix, spread, looks": {
        "tuning": "prefix",
        "virtual_tokens": 4,
        "spread": "on",
        "look_every": 10,
    },
    "full": {"tuning": "full", "learning_rate": 1e-5},
    "dora, lora+, both ends": {"tuning": "dora", "lora_plus": 4.0, "also_train": "both"},
}


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    """However a training ends, its processes do; servers of other tests may stay."""
    before = set(psutil.Process().children())
    yield
    assert set(psutil.Process().children()) <= before


class Noted(Silent):
    """Writes steps and checkpoints to a file, where another process reads them."""

    def __init__(self, path: Path, stop_at: int = STEPS) -> None:
        super().__init__()
        self._path = path
        self._stop_at = stop_at

    def metrics(self, step: int, values: dict[str, float]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps([step, values]) + "\n")
        self.stop = step >= self._stop_at

    def noted(self) -> list[tuple[int, dict[str, float]]]:
        return [tuple(json.loads(line)) for line in self._path.read_text().splitlines()]


def learned(order: WorkOrder, report: Any, crew: Crew) -> AdapterResult:
    """The order's training in one process of a crew."""
    assert order.base is not None
    spec: Any = order.spec
    rows = PREFERENCES if spec.objective == "dpo" else MIXED
    if crew.size > 1 and spec.spread == "on":
        model, tokenizer = load_spread(order.base, "cpu", "fp32", crew)
    else:
        model, tokenizer = load_base(order.base, "cpu", "fp32")
    return train_adapter(
        model, tokenizer, rows, spec, "auto", place_of(order), report if crew.leads else Unheard(),
        held_out=MIXED[:3] if spec.look_every else [], crew=crew,
    )  # fmt: skip


def in_two(order: WorkOrder, report: Any) -> AdapterResult:
    return together(2, "cpu", lambda crew: learned(order, report, crew))


def adapter_bytes(order: WorkOrder) -> bytes:
    [weights] = order.out.glob("*.safetensors")
    return weights.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_have_the_losses_of_one(kind: str, tiny_llama: Path, tmp_path: Path) -> None:
    values = PARAMETERS | KINDS[kind]
    one, two = Noted(tmp_path / "one"), Noted(tmp_path / "two")
    alone = learned(order_for(tiny_llama, tmp_path / "a", **values), one, Crew())
    shared = in_two(order_for(tiny_llama, tmp_path / "b", **values), two)
    for (step, there), (number, here) in zip(one.noted(), two.noted(), strict=True):
        assert step == number
        assert here.keys() == there.keys()
        for name in {"loss", "grad_norm", "eval_loss", "preferred"} & here.keys():
            assert here[name] == pytest.approx(there[name], rel=1e-5)
        # What is left of two like numbers.
        assert here.get("margin", 0) == pytest.approx(there.get("margin", 0), abs=1e-4)
    for name in ("tokens", "trained_tokens", "rank", "steps"):
        assert shared.facts[name] == alone.facts[name]


def test_asked_to_stop_both_do_with_one_checkpoint_and_one_alone_may_go_on(
    tiny_llama: Path, tmp_path: Path
) -> None:
    order = order_for(tiny_llama, tmp_path, **PARAMETERS | {"max_steps": 6})
    with pytest.raises(Stopped):
        in_two(order, Noted(tmp_path / "two", stop_at=3))
    [checkpoint] = (order.folder / "checkpoints").iterdir()
    assert checkpoint.name == "step-00000003"
    report = Noted(tmp_path / "one")
    learned(order.model_copy(update={"resume_from": checkpoint}), report, Crew())
    assert [step for step, _ in report.noted()] == [4, 5, 6]


class KillsTheRunner(Unheard):
    """What kill -9 does to the process that forked the one that saves."""

    def checkpoint(self, step: int, folder: Path) -> None:
        os.kill(os.getppid(), signal.SIGKILL)


def test_a_runner_killed_at_a_checkpoint_takes_its_processes_along_and_the_rest_goes_on(
    tiny_llama: Path, tmp_path: Path
) -> None:
    values = PARAMETERS | {"dropout": 0.1, "max_steps": 12}
    order = order_for(tiny_llama, tmp_path / "half", **values)
    read, held = os.pipe()
    runner = os.fork()
    if runner == 0:
        try:
            in_two(order, KillsTheRunner())
        finally:
            os._exit(1)
    os.close(held)
    assert os.waitstatus_to_exitcode(os.waitpid(runner, 0)[1]) == -signal.SIGKILL
    assert os.read(read, 1) == b""  # nobody holds the other end any more
    os.close(read)
    checkpoint = order.folder / "checkpoints" / "step-00000008"
    again = order.model_copy(update={"folder": tmp_path / "rest", "resume_from": checkpoint})
    in_two(again, Unheard())
    unbroken = order_for(tiny_llama, tmp_path / "whole", **values)
    in_two(unbroken, Unheard())
    assert adapter_bytes(again) == adapter_bytes(unbroken)


class Odd(Exception):
    """An exception that pickle cannot build again."""

    def __init__(self, *, what: str) -> None:
        super().__init__(f"odd {what}")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(wrong: Exception) -> None:
    raise wrong


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("trouble", "error", "words"),
    [
        (die, RunnerDied, "process {}: signal 9"),
        (lambda: fail(torch.OutOfMemoryError("no room for 3 GiB")), OutOfMemory, "3 GiB"),
        (lambda: fail(ValueError("nonsense")), ValueError, "nonsense"),
        (lambda: fail(Odd(what="number")), RuntimeError, "Odd: odd number"),
    ],
)
def test_a_process_that_fails_or_dies_ends_the_training_with_its_reason(
    number: int,
    trouble: Callable[[], None],
    error: type[Exception],
    words: str,
    tiny_llama: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def step(learner: Any, course: Any, *rest: Any) -> dict[str, float]:
        if course.crew.number == number:
            trouble()
        return stepping.step(learner, course, *rest)

    monkeypatch.setattr(loop, "stepping", type("Stepping", (), {"step": staticmethod(step)}))
    order = order_for(tiny_llama, tmp_path, **PARAMETERS).model_copy(update={"cards": 2})
    with pytest.raises(error, match=words.format(number + 1)) as raised:
        train(order, Unheard())
    if error is ValueError:
        assert any("in step" in note for note in raised.value.__notes__)


def test_a_loss_that_is_no_number_is_seen_by_both(tmp_path: Path) -> None:
    base = make_llama(tmp_path / "broken")
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    order = order_for(base, tmp_path, **PARAMETERS).model_copy(update={"cards": 2})
    with pytest.raises(NotFinite, match="step 1"):
        train(order, Unheard())


def test_a_process_without_a_row_joins_all_the_same(tiny_llama: Path, tmp_path: Path) -> None:
    values = {"max_steps": 3, "batch_size": 1}
    one, two = Noted(tmp_path / "one"), Noted(tmp_path / "two")
    order = order_for(tiny_llama, tmp_path / "a", **values)
    train(order, one)
    train(order.model_copy(update={"cards": 2, "folder": tmp_path / "b"}), two)
    losses = [[values["loss"] for _, values in each.noted()] for each in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_processes_that_begin_unlike_are_made_alike_and_those_that_end_unlike_are_refused(
    tmp_path: Path,
) -> None:
    def work(crew: Crew) -> float:
        weight = torch.tensor([1.0 + crew.number])
        crew.begin_alike([weight])
        crew.require_alike([weight])
        weight += crew.number
        crew.require_alike([weight])
        return 0.0

    with pytest.raises(Internal, match="unlike weights"):
        together(2, "cpu", work)


def test_rows_are_divided_by_their_tokens_and_none_is_lost() -> None:
    lessons = [(Example.answering(tuple(range(length)), 1),) for length in (9, 2, 3, 2, 9, 4, 5)]
    parts = divided(lessons, 2)
    assert sorted(map(id, parts[0] + parts[1])) == sorted(map(id, lessons))
    assert [sum(len(each.ids) for [each] in part) for part in parts] == [18, 16]
    assert divided(lessons[:1], 3) == [lessons[:1], [], []]
