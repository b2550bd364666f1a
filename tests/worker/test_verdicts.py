"""What becomes of a job when its runner ends."""

from typing import Any

import pytest

from shared.errors import Internal as Mistake
from shared.errors import NoOp, OutOfMemory, RunnerDied, TimeLimit
from shared.tables import Outcome
from worker.verdicts import Verdict, judge


def end(final: dict[str, Any] | None, code: int, **how: Any) -> Verdict:
    defaults: dict[str, Any] = {
        "asked_to_stop": None, "time_limit": None, "progressed": True, "halvings": 0,
    }  # fmt: skip
    return judge(final, code, **defaults | how)


def error(wrong: Any) -> dict[str, Any]:
    return {"type": "error", **wrong.record()}


OUT_OF_MEMORY = error(OutOfMemory(detail="8 GB"))


@pytest.mark.parametrize(
    ("final", "code", "how", "outcome"),
    [
        ({"type": "result"}, 0, {}, Outcome.SUCCEEDED),
        # Finished before the signal reached it: the work is done, keep it.
        ({"type": "result"}, 0, {"asked_to_stop": Outcome.CANCELLED}, Outcome.SUCCEEDED),
        ({"type": "stopped"}, 143, {"asked_to_stop": Outcome.CANCELLED}, Outcome.CANCELLED),
        ({"type": "stopped"}, 143, {"asked_to_stop": Outcome.STOPPED}, Outcome.STOPPED),
        (None, -9, {"asked_to_stop": Outcome.CANCELLED}, Outcome.CANCELLED),
        (None, -9, {}, Outcome.RETRY),
        (error(NoOp(why="zero")), 1, {}, Outcome.FAILED),
        (error(Mistake(detail="oops")), 1, {"progressed": False}, Outcome.FAILED),
        (error(Mistake(detail="oops")), 1, {"progressed": True}, Outcome.RETRY),
        # One of a training's processes died, not the one that speaks for them.
        (error(RunnerDied(how="signal 9")), 1, {"progressed": False}, Outcome.RETRY),
        (OUT_OF_MEMORY, 1, {"progressed": False}, Outcome.RETRY),
        (OUT_OF_MEMORY, 1, {"halvings": 1}, Outcome.FAILED),
    ],
)
def test_the_end_of_a_runner_decides_the_outcome(
    final: dict[str, Any] | None, code: int, how: dict[str, Any], outcome: Outcome
) -> None:
    assert end(final, code, **how).outcome is outcome


def test_a_runner_that_overran_its_limit_fails_with_that_reason() -> None:
    verdict = end({"type": "stopped"}, 143, time_limit=TimeLimit(limit=60))
    assert verdict.outcome is Outcome.FAILED
    assert verdict.error == TimeLimit(limit=60).record()


def test_a_killed_runner_says_by_which_signal() -> None:
    verdict = end(None, -9)
    assert verdict.error is not None
    assert verdict.error["params"]["how"] == "signal 9"
