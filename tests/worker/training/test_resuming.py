"""A stopped or killed training goes on as if nothing had happened, or refuses and says why."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from orders_of import ROWS, order_for, preferring
from shared.errors import ResumeRefused
from shared.orders import WorkOrder
from worker import keeping
from worker.checkpoints import load_base
from worker.reporting import Silent, Stopped
from worker.training import place_of, resuming, train, train_adapter

pytestmark = pytest.mark.usefixtures("one_thread")
STEPS, HALF = 20, 10
#: Dropout too: its draws must not depend on where a run began.
PARAMETERS: dict[str, Any] = {
    "max_steps": STEPS,
    "batch_size": 3,
    "dropout": 0.1,
    "checkpoint_every": HALF,
}


PREFERENCES = preferring(ROWS)


class StopsAt(Silent):
    """Asks to stop once a step is done."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def stop_requested(self) -> bool:
        return bool(self.steps) and self.steps[-1][0] >= self._step


class DiesAtItsCheckpoint(Silent):
    """What kill -9 does to a runner: no handler, no cleaning up, no flushing."""

    def checkpoint(self, step: int, folder: Path) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def going_on(order: WorkOrder, folder: Path, checkpoint: Path) -> WorkOrder:
    return order.model_copy(update={"folder": folder, "resume_from": checkpoint})


def adapter_bytes(order: WorkOrder) -> bytes:
    [weights] = order.out.glob("*.safetensors")
    return weights.read_bytes()


def stopped(base: Path, folder: Path, step: int = 3, **parameters: Any) -> Path:
    """The checkpoint of a training that was stopped."""
    report = StopsAt(step)
    with pytest.raises(Stopped):
        train(order_for(base, folder, **PARAMETERS | parameters), report)
    return report.checkpoints[-1][1]


@pytest.mark.parametrize("base", ["tiny_llama", "tiny_glm"])
@pytest.mark.parametrize("step", [7, HALF])
def test_stopped_and_resumed_is_bit_for_bit_the_unbroken_run(
    base: str, step: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(base)
    whole, half, rest = Silent(), StopsAt(step), Silent()
    unbroken = order_for(folder, tmp_path / "whole", **PARAMETERS)
    made = train(unbroken, whole)
    order = order_for(folder, tmp_path / "half", **PARAMETERS)
    with pytest.raises(Stopped):
        train(order, half)
    [(saved_at, checkpoint)] = half.checkpoints
    again = going_on(order, tmp_path / "rest", checkpoint)
    resumed = train(again, rest)
    assert saved_at == step
    assert adapter_bytes(again) == adapter_bytes(unbroken)
    losses = [(number, values["loss"]) for number, values in half.steps + rest.steps]
    assert losses == [(number, values["loss"]) for number, values in whole.steps]
    assert resumed.facts["final_loss"] == made.facts["final_loss"]
    assert resumed.facts["trained_tokens"] == made.facts["trained_tokens"]


KINDS: dict[str, dict[str, Any]] = {
    "sft": {},
    "sft, padded": {"packing": False},
    "dpo": {"objective": "dpo"},
    "dpo, padded": {"objective": "dpo", "packing": False},
    "p-tuning": {"tuning": "prefix", "dropout": 0.0, "virtual_tokens": 4},
    "p-tuning, padded": {"tuning": "prefix", "dropout": 0.0, "virtual_tokens": 4, "packing": False},
    "full": {"tuning": "full", "dropout": 0.0},
    "full, padded": {"tuning": "full", "dropout": 0.0, "packing": False},
    "full, dpo": {"tuning": "full", "dropout": 0.0, "objective": "dpo"},
    "pissa, lora+": {"start": "pissa", "lora_plus": 4.0},
    "with both ends": {"also_train": "both"},
    "held out": {"look_every": 4, "learning_rate": 0.05},
}


def learned(order: WorkOrder, report: Silent) -> None:
    """The order's training; of preferences where it is dpo."""
    assert order.base is not None
    spec: Any = order.spec
    rows = PREFERENCES if spec.objective == "dpo" else ROWS
    model, tokenizer = load_base(order.base, "cpu", "fp32")
    unseen = ROWS[:2] if spec.look_every else []
    place = place_of(order)
    train_adapter(model, tokenizer, rows, spec, "auto", place, report, held_out=unseen)


# Python 3.12 warns of any fork beside threads; this child computes on one and ends by SIGKILL.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_is_bit_for_bit_the_unbroken_run(
    kind: str, tiny_llama: Path, tmp_path: Path
) -> None:
    values = PARAMETERS | KINDS[kind]
    order = order_for(tiny_llama, tmp_path / "half", **values)
    child = os.fork()
    if child == 0:
        try:
            learned(order, DiesAtItsCheckpoint())
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    again = going_on(order, tmp_path / "rest", order.folder / "checkpoints" / f"step-{HALF:08d}")
    learned(again, Silent())
    unbroken = order_for(tiny_llama, tmp_path / "whole", **values)
    learned(unbroken, Silent())
    assert adapter_bytes(again) == adapter_bytes(unbroken)


def test_a_job_stopped_before_its_first_step_leaves_no_checkpoint(
    tiny_llama: Path, tmp_path: Path
) -> None:
    report = Silent()
    report.stop = True
    with pytest.raises(Stopped):
        train(order_for(tiny_llama, tmp_path), report)
    assert report.checkpoints == report.steps == []


def test_checkpoints_come_at_their_interval_and_a_few_are_kept(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "KEPT", 2)
    report = Silent()
    train(order_for(tiny_llama, tmp_path, max_steps=9, checkpoint_every=2), report)
    assert [step for step, _ in report.checkpoints] == [2, 4, 6, 8]
    kept = sorted(path.name for path in report.checkpoints[0][1].parent.iterdir())
    assert kept == ["step-00000006", "step-00000008"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.5}, "learning_rate (0.001 -> 0.5)"),
        ({"template": "alpaca-zh"}, "template (auto "),
        ({"max_length": 300}, "max_length (512 -> 300)"),
        ({"rows": 5}, "dataset ("),
        ({"seed": 9}, "seed (0 -> 9)"),
    ],
)
def test_a_changed_job_is_refused_by_name(
    change: dict[str, Any], named: str, tiny_llama: Path, tmp_path: Path
) -> None:
    checkpoint = stopped(tiny_llama, tmp_path / "half", learning_rate=0.001)
    values: dict[str, Any] = PARAMETERS | {"learning_rate": 0.001} | change
    order = going_on(order_for(tiny_llama, tmp_path, **values), tmp_path / "rest", checkpoint)
    with pytest.raises(ResumeRefused) as refused:
        train(order, Silent())
    assert named in str(refused.value)


def test_changed_data_and_another_base_are_refused_together(
    tiny_llama: Path, tmp_path: Path
) -> None:
    checkpoint = stopped(tiny_llama, tmp_path / "half")
    order = order_for(tiny_llama, tmp_path / "rest", rows=[*ROWS, ROWS[0]], **PARAMETERS)
    assert order.base is not None
    base = order.base.model_copy(update={"fingerprint": "other"})
    with pytest.raises(ResumeRefused, match=r"base model \(.*other\), dataset \("):
        train(order.model_copy(update={"base": base, "resume_from": checkpoint}), Silent())


def test_a_smaller_micro_batch_may_continue(tiny_llama: Path, tmp_path: Path) -> None:
    checkpoint = stopped(tiny_llama, tmp_path / "half")
    order = order_for(tiny_llama, tmp_path / "rest", **PARAMETERS | {"micro_batch_size": 1})
    report = Silent()
    train(order.model_copy(update={"resume_from": checkpoint, "halvings": 1}), report)
    assert report.steps[0][0] == 4


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_refused_by_its_file(
    name: str, tiny_llama: Path, tmp_path: Path
) -> None:
    checkpoint = stopped(tiny_llama, tmp_path / "half")
    data = bytearray((checkpoint / name).read_bytes())
    data[len(data) // 2] ^= 1
    (checkpoint / name).write_bytes(data)
    order = order_for(tiny_llama, tmp_path / "rest", **PARAMETERS)
    with pytest.raises(ResumeRefused, match=name):
        train(order.model_copy(update={"resume_from": checkpoint}), Silent())


def test_a_checkpoint_cut_short_is_never_seen(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(folder: Path) -> str:
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(keeping, "seal", no_room)
    order = order_for(tiny_llama, tmp_path, **PARAMETERS)
    report = Silent()
    with pytest.raises(OSError, match="No space left"):
        train(order, report)
    assert report.checkpoints == []
    assert not list((order.folder / "checkpoints").glob("step-*"))


def test_a_checkpoint_lists_its_files_and_what_it_belongs_to(
    tiny_llama: Path, tmp_path: Path
) -> None:
    checkpoint = stopped(tiny_llama, tmp_path)
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    assert [entry["path"] for entry in manifest["files"]] == ["state.json", "state.safetensors"]
    state = json.loads((checkpoint / "state.json").read_text())
    assert state["standing"]["step"] == 3
    assert {"dataset", "template", "base model", "rank", "learning_rate"} <= set(state["identity"])


def test_a_checkpoint_is_saved_while_the_worker_removes_earlier_ones(
    tiny_llama: Path, tmp_path: Path
) -> None:
    order = order_for(tiny_llama, tmp_path / "order", **PARAMETERS | {"max_steps": HALF + 1})
    # What a file is between the look at the folder and its removal: a name, and nothing behind it.
    going = order.folder / "checkpoints" / "step-00000001"
    going.mkdir(parents=True)
    (going / "removed").symlink_to(tmp_path / "nothing")
    report = Silent()
    train(order, report)
    assert [step for step, _ in report.checkpoints] == [HALF]
