"""Random histories of the real statements: whatever people and crashes do, nothing is lost,
published twice or changed after its end."""

import inspect
import types
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import Session, delete, select

from pools import add_job, age_lease, claim_next
from shared import db, leases
from shared.claims import Claim, Ending
from shared.tables import Attempt, Event, Job, JobDependency, JobState, Outcome

CLEARED = (Event, Attempt, JobDependency, Job)


def make_machine(transitions: Any) -> type[RuleBasedStateMachine]:
    """The state machine over a module of transitions: the real one, or a mutated copy."""

    class Pool(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.session = Session(db.engine(), expire_on_commit=False)
            for table in CLEARED:
                self.session.execute(delete(table))
            self.session.commit()
            #: Ids count up: with random ones the same history would claim other jobs.
            self.submitted = 0
            self.claims: list[Claim] = []
            #: Those of them that nobody has taken away.
            self.holders: list[Claim] = []
            self.published: dict[str, int] = {}
            self.ended: dict[str, str] = {}

        def teardown(self) -> None:
            self.session.close()

        @rule()
        def submit(self) -> None:
            self.submitted += 1
            add_job(self.session, id=f"{self.submitted:012}", created_at=float(self.submitted))

        @precondition(lambda self: self.submitted)
        @rule(host=st.sampled_from("ab"))
        def claim(self, host: str) -> None:
            claim = claim_next(self.session, host, leases=transitions)
            self.session.commit()
            if claim is not None:
                assert claim.job_id not in {each.job_id for each in self.holders}, "claimed twice"
                self.claims.append(claim)
                self.holders.append(claim)

        def _commit(self, claim: Claim, outcome: Outcome) -> None:
            if transitions.commit(self.session, claim, outcome) is None:
                self.session.rollback()
                return
            self.session.commit()
            assert claim in self.holders, "an attempt that was lost ended its job"
            self._ended(claim, outcome)

        def _ended(self, claim: Claim, outcome: Outcome) -> None:
            self.holders.remove(claim)
            if outcome is Outcome.SUCCEEDED:
                self.published[claim.job_id] = self.published.get(claim.job_id, 0) + 1

        @precondition(lambda self: self.holders)
        @rule(data=st.data(), outcome=st.sampled_from(Outcome))
        def commit(self, data: st.DataObject, outcome: Outcome) -> None:
            self._commit(data.draw(st.sampled_from(self.holders)), outcome)

        @precondition(lambda self: len(self.claims) > len(self.holders))
        @rule(data=st.data(), outcome=st.sampled_from(Outcome))
        def an_attempt_that_was_over_commits(self, data: st.DataObject, outcome: Outcome) -> None:
            """Any attempt may wake up and try to commit, however long ago it was lost."""
            over = [claim for claim in self.claims if claim not in self.holders]
            self._commit(data.draw(st.sampled_from(over)), outcome)

        @precondition(lambda self: len(self.claims) > 1)
        @rule(data=st.data(), outcome=st.sampled_from(Outcome))
        def attempts_commit_together(self, data: st.DataObject, outcome: Outcome) -> None:
            """A host ends several of its attempts at once, some of which may be over."""
            host = data.draw(st.sampled_from(sorted({each.host for each in self.claims})))
            mine = [each for each in self.claims if each.host == host][-4:]
            endings = [Ending(claim=each, outcome=outcome) for each in mine]
            states = transitions.commit_all(self.session, endings)
            self.session.commit()
            for claim, state in zip(mine, states, strict=True):
                assert (state is not None) == (claim in self.holders), "not who held the job"
                if state is not None:
                    self._ended(claim, outcome)

        @precondition(lambda self: self.claims)
        @rule(data=st.data())
        def renew(self, data: st.DataObject) -> None:
            claim = data.draw(st.sampled_from(self.claims))
            transitions.renew(self.session, [claim], 60)
            self.session.commit()

        @precondition(lambda self: self.holders)
        @rule()
        def a_lease_runs_out(self) -> None:
            running = select(Job.id).where(Job.state == JobState.RUNNING).order_by(Job.id)
            job_id = self.session.exec(running).first()
            if job_id is not None:
                age_lease(self.session, job_id, 120)
                assert job_id in transitions.expire(self.session)
                self.session.commit()
                self.holders = [each for each in self.holders if each.job_id != job_id]

        @precondition(lambda self: self.submitted)
        @rule(data=st.data())
        def cancel(self, data: st.DataObject) -> None:
            if found := list(self.session.exec(select(Job.id).order_by(Job.id))):
                transitions.cancel(self.session, data.draw(st.sampled_from(found)), actor="ann")
                self.session.commit()

        @invariant()
        def nothing_is_published_twice(self) -> None:
            assert all(count == 1 for count in self.published.values())

        @invariant()
        def a_final_state_is_never_left(self) -> None:
            self.session.expire_all()
            jobs = self.session.exec(select(Job)).all()
            for job in jobs:
                assert self.ended.get(job.id, job.state) == job.state
                if JobState(job.state).is_final:
                    self.ended[job.id] = job.state
                assert (job.state == JobState.SUCCEEDED) == (job.id in self.published)

        @invariant()
        def running_jobs_are_exactly_those_with_a_lease_and_an_open_attempt(self) -> None:
            jobs = self.session.exec(select(Job)).all()
            running = {(job.id, job.epoch) for job in jobs if job.state == JobState.RUNNING}
            leased = {(job.id, job.epoch) for job in jobs if job.lease_until is not None}
            attempts = self.session.exec(select(Attempt)).all()
            open_ = {(each.job_id, each.epoch) for each in attempts if each.outcome is None}
            assert running == leased == open_

    return Pool


def check(transitions: Any, examples: int) -> None:
    run_state_machine_as_test(
        make_machine(transitions),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def mutated(guard: str) -> types.ModuleType:
    """A copy of shared/leases.py without one guard."""
    source = inspect.getsource(leases)
    assert guard in source, "the guard has moved; point this test at it"
    module = types.ModuleType("mutated_leases")
    module.__file__ = str(Path(leases.__file__))
    exec(compile(source.replace(guard, ""), "mutated_leases", "exec"), module.__dict__)
    return module


@pytest.mark.usefixtures("database")
def test_random_histories_keep_every_promise() -> None:
    check(leases, examples=15)


#: The epoch in the guard of COMMIT, and the state in that of CLAIM.
GUARDS = {
    "epoch": "_JOB.epoch == mine.epoch, ",
    "queued": '(func.coalesce(job.state, "") if by_id else job.state) == QUEUED,',
}


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS.keys())
def test_without_a_guard_a_history_breaks_a_promise(guard: str) -> None:
    without = mutated(guard)
    with pytest.raises(AssertionError):
        check(without, examples=60)
