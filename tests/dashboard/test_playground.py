"""The playground page: starting, waiting, answers side by side, votes, feedback, and the end."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import filled
from pages import Open, texts
from shared import chats, db, jobs, knowledge
from shared.errors import Language
from shared.people.actors import Actor, Role
from shared.specs import ChatSpec
from shared.tables import ChatTurn, Job, JobState

ARMS = ("base", "native")


@pytest.fixture
def small(empty_pool: Path) -> Path:
    """A pool of this test's own, whose jobs of other tests have ended."""
    filled.fill(empty_pool, items=3, arms=ARMS)
    return empty_pool


def session(state: JobState = JobState.RUNNING, *answers: str) -> str:
    """A session in that state with one question, and what the arms said to it."""
    spec = ChatSpec(name="chat-x", base_model=filled.HOST_BASE, adapters=["native"])
    made = jobs.submit(spec, actor=Actor.admin(filled.USER))
    with db.writing() as writing:
        chats.ask(writing, made.id, "Why <b>so</b>?", actor=Actor.admin(filled.USER))
        writing.get_one(Job, made.id).state = state
        told: dict[str, Any] = {
            arm: {"text": text, "tokens": 4, "seconds": 2.0, "done": True, "finished": True}
            for arm, text in zip(ARMS, answers, strict=False)
        }
        turn = writing.get_one(ChatTurn, (made.id, 1))
        turn.answers, turn.answered = told, len(told) == len(ARMS)
    return made.id


def test_an_adapters_page_leads_to_it_with_its_base(small: Path, open_page: Open) -> None:
    app = open_page("playground", adapter="native")
    assert app.selectbox(key="draft.chat.base_model").value == filled.HOST_BASE
    assert app.multiselect(key="draft.chat.adapters").value == ["native"]
    assert "adapter" not in app.query_params


def press(app: AppTest, label: str) -> None:
    next(each for each in app.button if each.label == label).click().run()
    assert not app.exception


def opened(app: AppTest) -> str:
    """The session that the address names now."""
    found = app.query_params["id"]
    return found if isinstance(found, str) else found[0]


def test_a_session_is_started_from_the_form_and_asked_while_it_waits(
    small: Path, open_page: Open
) -> None:
    app = open_page("playground")
    app.selectbox(key="draft.chat.base_model").set_value(filled.HOST_BASE).run()
    app.multiselect(key="draft.chat.adapters").set_value(["native"]).run()
    press(app, "Start the session")
    job_id = opened(app)
    with db.reading() as reading:
        job = jobs.find(reading, job_id)
    assert (job.kind, job.spec["adapters"], job.state) == ("chat", ["native"], "queued")
    assert "Queued, " in texts(app)
    assert "in line" in texts(app)
    app.chat_input(key="playground.question").set_value("Who?").run()
    with db.reading() as reading:
        assert [turn.question for turn in chats.turns(reading, job_id)] == ["Who?"]
    assert "Who?" in texts(app)


@pytest.mark.parametrize(
    ("language", "best", "speed"),
    [("en", "native is best", "4 tokens, 2.0 per second"),
     ("zh", "native 最好", "4 个词元，每秒 2.0 个")],
)  # fmt: skip
def test_answers_stand_side_by_side_and_a_vote_counts(
    small: Path, open_page: Open, language: Language, best: str, speed: str
) -> None:
    job_id = session(JobState.RUNNING, "left", "right")
    app = open_page("playground", language, id=job_id)
    page = texts(app)
    assert "Why <b>so</b>?" in page
    assert page.index("left") < page.index("right")
    assert speed in page
    press(app, best)
    with db.reading() as reading:
        [cast] = chats.votes(reading, job_id)
    assert (cast.outcome, cast.arms, cast.user) == ("native", list(ARMS), filled.USER)


def test_who_may_not_vote_is_told_so(
    small: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("playground", id=session(JobState.RUNNING, "left", "right"))
    monkeypatch.setattr("dashboard.parts.actor", lambda: Actor("eve", Role.VIEWER))
    press(app, "native is best")
    assert "eve is a viewer here" in app.error[0].value


def test_blind_answers_have_names_only_after_the_vote(small: Path, open_page: Open) -> None:
    app = open_page("playground", id=session(JobState.RUNNING, "left", "right"))
    app.toggle(key="playground.blind").set_value(True).run()
    assert "native" not in texts(app)
    press(app, "B is best")
    assert "native" in texts(app)


def test_an_answer_is_corrected_and_proposed_to_a_knowledge_base(
    small: Path, open_page: Open
) -> None:
    app = open_page("playground", id=session(JobState.SUCCEEDED, "left", "right"))
    app.button(key="playground.feedback.1.native").click().run()
    field = app.text_area(key="playground.feedback.a.1.native")
    assert field.value == "right"
    field.set_value("quite right")
    press(app, "Propose")
    with db.reading() as reading:
        made = knowledge.proposals(reading, filled.KNOWLEDGE)[-1]
    assert (made.instruction, made.output) == ("Why <b>so</b>?", "quite right")
    assert "Proposed to" in app.success[0].value


def test_an_ended_session_says_what_to_do_and_starts_again(small: Path, open_page: Open) -> None:
    old = session(JobState.SUCCEEDED, "left", "right")
    app = open_page("playground", id=old)
    assert "nobody asked anything for 10 minutes" in texts(app)
    assert app.chat_input(key="playground.question").disabled
    press(app, "Start again")
    new = opened(app)
    assert new != old
    with db.reading() as reading:
        job, before = jobs.find(reading, new), jobs.find(reading, old)
    assert {**job.spec, "name": ""} == {**before.spec, "name": ""}
    assert job.state == "queued"


def test_stop_cancels_the_job(small: Path, open_page: Open) -> None:
    job_id = session(JobState.QUEUED)
    app = open_page("playground", id=job_id)
    press(app, "Stop")
    with db.reading() as reading:
        assert jobs.find(reading, job_id).state == "cancelled"
    assert "Start again opens a new one" in texts(app)


def test_the_list_shows_the_readers_sessions(small: Path, open_page: Open) -> None:
    job_id = session(JobState.RUNNING)
    rows = open_page("playground").dataframe[0].value.to_dict("records")
    assert [(row["id"], row["arms"]) for row in rows] == [(job_id, "base, native")]
