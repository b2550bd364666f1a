"""Questions on their way to a runner and answers on their way back, whatever fails in between."""

import json
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from pools import add_job, claim_next, upgrade, use
from shared import chats, db
from shared.claims import Claim
from shared.people.actors import Actor
from shared.specs import ChatSpec
from worker import talk
from worker.following import Follower
from worker.journal import Journal
from worker.mailbox import Question, post, take
from worker.talk import Talk
from worker.traces import Trace

ANN = Actor.admin("ann")


@pytest.fixture
def claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Claim:
    """A running session with one question."""
    use(monkeypatch, tmp_path)
    upgrade()
    monkeypatch.setattr(talk, "_EVERY", 0.0)
    spec = ChatSpec(name="talk", base_model="tiny").model_dump(mode="json")
    with Session(db.engine()) as session:
        add_job(session, spec=spec, kind="chat", name="talk")
        claim = claim_next(session, "gpu-1")
        assert claim is not None
        chats.ask(session, claim.job_id, "Why?", actor=ANN)
        session.commit()
    return claim


def answers(claim: Claim) -> list[tuple[dict[str, object], bool]]:
    with db.reading() as session:
        return [(turn.answers, turn.answered) for turn in chats.turns(session, claim.job_id)]


def said(number: int, text: str, answered: bool) -> dict[str, object]:
    return {"turn": number, "answers": {"base": {"text": text}}, "answered": answered}


def test_a_question_reaches_the_folder_once_and_its_answer_the_table(
    claim: Claim, tmp_path: Path
) -> None:
    talking = Talk(claim, tmp_path / "a1")
    talking.tick()
    assert take(tmp_path / "a1", 1) == Question(number=1, text="Why?")
    assert take(tmp_path / "a1", 2) is None
    talking.event(said(1, "Be", False))
    talking.tick()
    assert answers(claim) == [({"base": {"text": "Be"}}, False)]
    talking.event(said(1, "Because", True))
    talking.flush()
    assert answers(claim) == [({"base": {"text": "Because"}}, True)]
    assert len(list((tmp_path / "a1" / "questions").iterdir())) == 1


def test_the_next_attempt_is_told_what_was_answered_and_asked_what_was_not(
    claim: Claim, tmp_path: Path
) -> None:
    first = Talk(claim, tmp_path / "a1")
    first.event(said(1, "Because", True))
    first.flush()
    with db.writing() as session:
        chats.ask(session, claim.job_id, "And then?", actor=ANN)
    first.event(said(2, "Half", False))
    first.flush()
    Talk(claim, tmp_path / "a2").tick()
    told, asked = take(tmp_path / "a2", 1), take(tmp_path / "a2", 2)
    assert told is not None
    assert told.answers == {"base": {"text": "Because"}}
    assert asked == Question(number=2, text="And then?")


def test_what_was_said_while_the_database_is_away_is_written_when_it_is_back(
    claim: Claim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> bool:
        raise OperationalError("update", {}, Exception("gone"))

    talking = Talk(claim, tmp_path / "a1")
    talking.event(said(1, "Because", True))
    with monkeypatch.context() as patch:
        patch.setattr(chats, "write_answers", away)
        talking.tick()
        with pytest.raises(OperationalError):
            talking.flush()
    assert answers(claim) == [({}, False)]
    talking.tick()
    assert answers(claim) == [({"base": {"text": "Because"}}, True)]


def test_a_question_of_several_lines_and_scripts_arrives_as_it_was(tmp_path: Path) -> None:
    asked = Question(number=3, text='第一行\n"two"\n🙂', answers={"base": {"text": "好"}})
    post(tmp_path, asked)
    assert take(tmp_path, 3) == asked


def test_the_next_worker_of_a_host_hears_again_what_was_said_and_nothing_is_lost(
    claim: Claim, tmp_path: Path
) -> None:
    trace = Trace(tmp_path / f"{claim.job_id}.a{claim.epoch}")
    trace.folder.mkdir()
    trace.output.touch()
    lines = [{"type": "phase", "name": "answering"}]
    lines += [{"type": "said", **said(1, text, text == "Because")} for text in ("Be", "Because")]
    trace.events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    gone = Journal(claim)
    with Follower(claim, gone, trace, Talk(claim, tmp_path / "a1")) as heard:
        heard.read()
    # That worker dies after its journal went out, before the answers did.
    gone.flush(final=True)
    assert answers(claim) == [({}, False)]
    talking = Talk(claim, tmp_path / "a1")
    with Follower(claim, Journal(claim), trace, talking) as heard:
        heard.read()
    talking.flush()
    assert answers(claim) == [({"base": {"text": "Because"}}, True)]
