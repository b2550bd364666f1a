"""How an attempt ended, and whether the job deserves another one."""

from dataclasses import dataclass
from typing import Any

from shared.errors import GraftError, OutOfMemory, RunnerDied, UserError, from_record
from shared.tables import Outcome


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of an attempt, its error record, and what a successful runner described."""

    outcome: Outcome
    error: dict[str, Any] | None = None
    described: dict[str, Any] | None = None


def judge(
    final: dict[str, Any] | None,
    code: int,
    *,
    asked_to_stop: Outcome | None,
    time_limit: GraftError | None,
    progressed: bool,
    halvings: int,
) -> Verdict:
    """Classify a runner's end.

    `final` is its last event (result, error, stopped) or None when it died first, `code` its exit
    code; `progressed` says whether it got past its first step. A user's mistake fails at once; a
    death, or an unforeseen error after the first step, is tried again; running out of memory is
    tried once more with half the micro-batch.
    """
    kind = final["type"] if final else None
    if kind == "result":
        return Verdict(outcome=Outcome.SUCCEEDED, described=final)
    if time_limit is not None:
        return Verdict(outcome=Outcome.FAILED, error=time_limit.record())
    if asked_to_stop is not None:
        return Verdict(outcome=asked_to_stop)
    if final is None or kind != "error":
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Verdict(outcome=Outcome.RETRY, error=RunnerDied(how=how).record())
    record = {"code": final["code"], "params": final["params"]}
    error = from_record(record)
    if isinstance(error, OutOfMemory):
        again = halvings == 0
    elif isinstance(error, RunnerDied):
        again = True  # one of a training's processes
    else:
        again = progressed and not isinstance(error, UserError)
    return Verdict(outcome=Outcome.RETRY if again else Outcome.FAILED, error=record)
