"""Every function that changes rows for people, tried by a viewer and by another member."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import Session, SQLModel

import mutations
import pools
from shared import (
    adapter_library,
    base_models,
    chats,
    datasets,
    db,
    drafts,
    endings,
    hosts,
    imports,
    jobs,
    knowledge,
    limits,
    saved_specs,
    saved_views,
    studies,
    sweeps,
    votes,
)
from shared.errors import Forbidden, GraftError
from shared.people import accounts, tokens
from shared.people.actors import Actor, Role
from shared.people.tokens import Scope
from shared.queueing import Request, submit_batch, submit_many, submit_stages
from shared.specs import parse_spec
from shared.specs.study import StudySpec
from shared.starter.builtin import add_builtin
from shared.tables import Adapter, Host, Job, JobState

ANN, BOB, EVE = (
    Actor("ann", Role.MEMBER), Actor("bob", Role.MEMBER), Actor("eve", Role.VIEWER)
)  # fmt: skip
NOWHERE = Path("nowhere")
TRAIN = {"kind": "train", "name": "mine", "base_model": "b", "dataset": "d"}
SPEC = parse_spec(TRAIN)
STUDY = StudySpec(name="s", adapter="a", host_base="b", dataset="d", benchmarks=["m"])
TEXT = knowledge.Text("What is green?", "Grass.")
BALLOT = votes.Ballot(
    benchmark="m", item_hash="h", question="?", first=("a", "1"), second=("b", "2")
)

Try = Callable[[Session, Actor], object]
#: What a member may do for themselves, so only a viewer is refused.
NEW: dict[str, Try] = {
    "jobs.submit": lambda s, a: jobs.submit(SPEC, actor=a),
    "queueing.submit_many": lambda s, a: submit_many([SPEC], Request(actor=a)),
    "queueing.submit_stages": lambda s, a: submit_stages([[SPEC]], Request(actor=a)),
    "queueing.submit_batch": lambda s, a: submit_batch([SPEC], Request(actor=a)),
    "sweeps.submit_sweep": lambda s, a: sweeps.submit_sweep(
        TRAIN, {"rank": [2, 4]}, Request(actor=a)
    ),
    "studies.submit_study": lambda s, a: studies.submit_study(STUDY, Request(actor=a)),
    "datasets.register": lambda s, a: datasets.register(s, "d", NOWHERE, "training", actor=a),
    "starter.builtin.add_builtin": lambda s, a: add_builtin(s, ["starter-language"], actor=a),
    "imports.add": lambda s, a: imports.add(s, "x", NOWHERE, "b", "alpaca", actor=a),
    "knowledge.bases.create": lambda s, a: knowledge.create(s, "more", actor=a),
    "knowledge.proposals.propose": lambda s, a: knowledge.propose(s, "notes", TEXT, actor=a),
    "chats.vote": lambda s, a: chats.vote(s, "talk", 1, "tie", ["base"], actor=a),
    "saved_specs.keep": lambda s, a: saved_specs.keep(s, "n", "train", {}, {}, actor=a),
    "votes.cast": lambda s, a: votes.cast(s, "c", BALLOT, "first", actor=a),
}
#: What a member may do to their own only.
OWNED: dict[str, Try] = {
    "jobs.cancel": lambda s, a: jobs.cancel("waiting", actor=a),
    "jobs.retry": lambda s, a: jobs.retry("failed", actor=a),
    "jobs.reprioritise": lambda s, a: jobs.reprioritise("waiting", 9, actor=a),
    "chats.ask": lambda s, a: chats.ask(s, "talk", "What is green?", actor=a),
    "knowledge.edits.add": lambda s, a: knowledge.add(s, "notes", TEXT, actor=a),
    "knowledge.edits.add_many": lambda s, a: knowledge.add_many(s, "notes", [TEXT], actor=a),
    "knowledge.edits.edit": lambda s, a: knowledge.edit(s, "notes", "x", TEXT, actor=a),
    "knowledge.edits.expire": lambda s, a: knowledge.expire(s, "notes", ["x"], actor=a),
    "knowledge.proposals.approve": lambda s, a: knowledge.approve(s, "notes", "p", actor=a),
    "knowledge.proposals.reject": lambda s, a: knowledge.reject(s, "notes", "p", actor=a),
    "adapter_library.describe": lambda s, a: adapter_library.describe(
        s, "kept", note="n", tags=["t"], actor=a
    ),
    "adapter_library.promote": lambda s, a: adapter_library.promote(s, "kept", actor=a),
    "adapter_library.demote": lambda s, a: adapter_library.demote(s, "kept", actor=a),
    "saved_specs.forget": lambda s, a: saved_specs.forget(s, "ann", "n", actor=a),
    "people.accounts.set_password": lambda s, a: accounts.set_password(
        s, "ann", "a long password", actor=a
    ),
    "people.tokens.create": lambda s, a: tokens.create(s, "ann", Scope.READ, actor=a),
    "people.tokens.revoke": lambda s, a: tokens.revoke(s, "0123456789ab", actor=a),
}
#: What only admins may do.
ADMINS: dict[str, Try] = {
    "base_models.register": lambda s, a: base_models.register(s, "b", "nowhere", actor=a),
    "hosts.drain": lambda s, a: hosts.drain(s, "gpu-1", accepting=False, actor=a),
    "limits.change": lambda s, a: limits.change(
        s, "user", "ann", limits.Change(queued=99), actor=a
    ),
    "people.accounts.create": lambda s, a: accounts.create(s, "new", Role.ADMIN, actor=a),
    "people.accounts.set_identity": lambda s, a: accounts.set_identity(s, "ann", "x@y", actor=a),
    "people.accounts.set_role": lambda s, a: accounts.set_role(s, "ann", Role.ADMIN, actor=a),
    "people.accounts.disable": lambda s, a: accounts.disable(s, "ann", actor=a),
    "people.tokens.forget_ended": lambda s, a: tokens.forget_ended(s, actor=a),
}
#: Everybody's own, whatever their role; each writes under the actor's name only.
OWN: dict[str, Try] = {
    "endings.tell": lambda s, a: endings.tell(s, 1, actor=a),
    "saved_views.keep": lambda s, a: saved_views.keep(s, "jobs", "v", "q=1", actor=a),
    "drafts.keep": lambda s, a: drafts.keep(s, "train", {}, {}, actor=a),
    "saved_views.forget": lambda s, a: saved_views.forget(s, "jobs", "v", actor=a),
}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A pool in which everything belongs to ann."""
    with pytest.MonkeyPatch.context() as patch:
        pools.use(patch, tmp_path_factory.mktemp("pool"))
        pools.upgrade()
        with db.writing() as session:
            for name, state in (("waiting", JobState.QUEUED), ("failed", JobState.FAILED)):
                session.add(
                    Job(id=name, kind="train", name=name, spec=TRAIN, user="ann", state=state)
                )
            session.add(Job(id="talk", kind="chat", name="talk", spec=TRAIN, user="ann"))
            session.add(Host(name="gpu-1", device="cpu"))
            session.add(
                Adapter(
                    name="kept", method="train", base_model="b", base_fingerprint="b", uri="x",
                    sha256="x", rank=4, user="ann",
                )
            )  # fmt: skip
            knowledge.create(session, "notes", actor=ANN)
            accounts.create(session, "ann", Role.MEMBER, actor=Actor.admin("root"))
            made = tokens.create(session, "ann", Scope.READ, actor=ANN)
            made.token.id = "0123456789ab"
        yield
        pools.forget()


def test_each_function_that_changes_rows_for_people_is_tried_here() -> None:
    tried = {f"shared.{name}" for name in (*NEW, *OWNED, *ADMINS, *OWN)}
    assert tried == set(mutations.peoples_changes())


@pytest.mark.parametrize("name", [*NEW, *OWNED, *ADMINS])
def test_a_viewer_changes_nothing(pool: None, name: str) -> None:
    _refused(EVE, (NEW | OWNED | ADMINS)[name])


@pytest.mark.parametrize("name", [*OWNED, *ADMINS])
def test_a_member_changes_nothing_of_anothers_or_of_the_pools(pool: None, name: str) -> None:
    _refused(BOB, (OWNED | ADMINS)[name])


@pytest.mark.parametrize("name", [*NEW, *OWNED])
def test_a_member_is_let_through_to_their_own(pool: None, name: str) -> None:
    _let_through(ANN, (NEW | OWNED)[name])


@pytest.mark.parametrize("name", [*NEW, *OWNED, *ADMINS])
def test_an_admin_is_let_through_to_everything(pool: None, name: str) -> None:
    _let_through(Actor.admin("root"), (NEW | OWNED | ADMINS)[name])


def _refused(actor: Actor, change: Try) -> None:
    before = _rows()
    with pytest.raises(Forbidden) as refused, db.writing() as session:
        change(session, actor)
    assert _rows() == before
    assert actor.user in refused.value.message("en")
    assert actor.user in refused.value.message("zh")


def _let_through(actor: Actor, change: Try) -> None:
    """It goes on to its work, and stops, if it does, for another reason."""
    try:
        with Session(db.engine()) as session:
            change(session, actor)  # rolled back, where the session is ours
    except Forbidden:
        raise
    except (GraftError, OSError):
        return


def _rows() -> dict[str, list[tuple[Any, ...]]]:
    with db.reading() as session:
        return {
            table.name: sorted(map(tuple, session.connection().execute(select(table))), key=str)
            for table in SQLModel.metadata.sorted_tables
        }
