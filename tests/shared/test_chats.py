"""Playground sessions in the database: asking, answers of the attempt that holds the job, votes."""

from pathlib import Path

import pytest
from sqlmodel import Session, select

import pools
from pools import add_job, claim_next
from shared import chats, db, jobs
from shared.chats import BAD, TIE
from shared.claims import Claim
from shared.errors import ChatEnded, Forbidden, InvalidSpec, UnknownAdapter, UnknownJob, WrongBase
from shared.people.actors import Actor, Role
from shared.specs import ChatSpec
from shared.submission import admit
from shared.tables import Adapter, ChatVote, Job, JobState, ModelRef

database = pools.database
ANN, BOB = Actor("ann", Role.MEMBER), Actor("bob", Role.MEMBER)
SPEC = ChatSpec(name="talk", base_model="tiny", adapters=["one"])


def running(session: Session) -> Claim:
    add_job(session, spec=SPEC.model_dump(mode="json"), kind="chat", name="talk")
    claim = claim_next(session, "gpu-1")
    assert claim is not None
    return claim


def test_questions_are_numbered_and_answers_count_only_from_the_attempt_that_runs(
    database: str,
) -> None:
    with db.writing() as session:
        claim = running(session)
        for text in (" Why? ", "And then?"):
            chats.ask(session, claim.job_id, text, actor=ANN)
        told = {"base": {"text": "Because"}}
        assert chats.write_answers(session, claim, 1, told, answered=True)
        stale = Claim(**{**claim.__dict__, "epoch": claim.epoch - 1})
        assert not chats.write_answers(session, stale, 2, told, answered=True)
    with db.reading() as session:
        found = chats.turns(session, claim.job_id)
    assert [(each.number, each.question, each.answered) for each in found] == [
        (1, "Why?", True), (2, "And then?", False),
    ]  # fmt: skip
    assert found[0].answers == told
    assert found[1].answers == {}


def test_what_cannot_be_asked_is_refused(database: str) -> None:
    with db.writing() as session:
        claim = running(session)
        with pytest.raises(InvalidSpec, match="question"):
            chats.ask(session, claim.job_id, "  ", actor=ANN)
        with pytest.raises(Forbidden, match="ask in this session"):
            chats.ask(session, claim.job_id, "Why?", actor=BOB)
        with pytest.raises(UnknownJob):
            chats.ask(session, "nothing", "Why?", actor=ANN)
    jobs.cancel(claim.job_id, actor=ANN)
    with db.writing() as session:
        session.get_one(Job, claim.job_id).state = JobState.CANCELLED
        session.flush()
        with pytest.raises(ChatEnded, match="talk"):
            chats.ask(session, claim.job_id, "Why?", actor=ANN)


def test_a_later_vote_replaces_the_first_and_the_best_arm_beats_each_other_one(
    database: str,
) -> None:
    with db.writing() as session:
        job = running(session).job_id
        arms = ["base", "one", "two"]
        chats.vote(session, job, 1, "base", arms, actor=ANN)
        chats.vote(session, job, 1, "one", arms, actor=ANN)
        chats.vote(session, job, 2, TIE, arms, actor=ANN)
        chats.vote(session, job, 1, BAD, arms, actor=BOB)
        with pytest.raises(InvalidSpec, match="outcome"):
            chats.vote(session, job, 1, "three", arms, actor=ANN)
    with db.reading() as session:
        cast = chats.votes(session, job)
        assert len(session.exec(select(ChatVote)).all()) == 3
    pairs = chats.rates(cast).pairs
    assert (pairs["one", "base"].wins, pairs["one", "base"].ties) == (1, 2)
    assert (pairs["one", "two"].wins, pairs["two", "one"].losses) == (1, 1)
    assert pairs["base", "two"].wins + pairs["base", "two"].losses == 0


def test_a_session_names_adapters_of_its_base_and_waits_for_those_on_their_way(
    database: str, tmp_path: Path
) -> None:
    with db.writing() as session:
        for name in ("tiny", "other"):
            session.add(ModelRef(name=name, location=str(tmp_path), fingerprint=name))
        for name, base in (("one", "tiny"), ("strange", "other")):
            session.add(Adapter(name=name, method="train", base_model=base, base_fingerprint=base,
                                uri="u", sha256="-", rank=4))  # fmt: skip
        session.flush()
        assert admit(session, SPEC).needs == set()
        training = {"kind": "train", "name": "coming", "base_model": "tiny", "dataset": "rows"}
        maker = add_job(session, spec=training, kind="train", name="coming")
        waits = admit(session, SPEC.model_copy(update={"adapters": ["coming"]}))
        assert len(waits.needs) == 1, maker
        with pytest.raises(WrongBase, match="strange"):
            admit(session, SPEC.model_copy(update={"adapters": ["strange"]}))
        with pytest.raises(InvalidSpec, match="twice"):
            admit(session, SPEC.model_copy(update={"adapters": ["one", "one"]}))
        # A session makes nothing, so its name is no adapter to wait for.
        add_job(session, spec=SPEC.model_dump(mode="json"), kind="chat", name="talk")
        with pytest.raises(UnknownAdapter, match="talk"):
            admit(session, SPEC.model_copy(update={"adapters": ["talk"]}))


def test_arms_are_the_models_and_those_that_retrieve() -> None:
    both = ChatSpec(
        name="t", base_model="b", adapters=["one"], knowledge="notes",
        knowledge_arms=["base+retrieved", "adapter+retrieved"],
    )  # fmt: skip
    assert both.arms() == {
        "base": ("base", False), "one": ("one", False),
        "base+retrieved": ("base", True), "one+retrieved": ("one", True),
    }  # fmt: skip
    assert list(both.model_copy(update={"knowledge": ""}).arms()) == ["base", "one"]
