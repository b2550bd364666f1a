"""What the form says of a job before it is submitted: its command, its cards, its plan."""

from pathlib import Path

import pytest

from pages import Open, fill_training, newest, send, texts
from shared import db, jobs
from shared.errors import Language


def test_the_cards_of_a_training_are_in_the_command_the_job_its_page_and_its_clone(
    small: Path, open_page: Open
) -> None:
    app = fill_training(open_page("submit"), "on-two")
    app = app.number_input(key="draft.train.cards").set_value(2).run()
    assert "--gpus=2" in texts(app)
    app.button(key="submit.plan.train").click().run()
    assert "2 whole cards" in texts(app)
    assert not send(app, "train").error
    job = newest()
    assert (job.name, job.gpus) == ("on-two", 2)
    assert "on 2 cards" in texts(open_page("job", id=job.id))
    assert "2 张卡" in texts(open_page("job", "zh", id=job.id))
    app = open_page("submit", like=job.id)
    assert app.number_input(key="draft.train.cards").value == 2
    app = app.button(key="submit.over").click().run()
    assert app.number_input(key="draft.train.cards").value == 1


def test_the_command_under_the_form_is_the_form_and_follows_it(
    small: Path, open_page: Open
) -> None:
    app = open_page("submit")
    app.number_input(key="draft.train.rank").set_value(3)
    app = fill_training(app, "as typed")
    [shown] = [each.value for each in app.code]
    assert shown.startswith("graft submit train ")
    assert "'--name=as typed'" in shown
    assert "--rank=3" in shown
    # Defaults stay unsaid.
    assert "--alpha" not in shown


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("Graphics memory", "Place in the queue", "Cards that fit")),
        ("zh", ("显存", "队列位置", "可用的卡")),
    ],
)
def test_a_plan_tells_what_submitting_would_get_and_queues_nothing(
    small: Path, open_page: Open, language: Language, said: tuple[str, ...]
) -> None:
    with db.reading() as session:
        before = jobs.listing(session, limit=1)[0].id
    app = fill_training(open_page("submit", language), "only-planned")
    app = app.button(key="submit.plan.train").click().run()
    assert not app.error
    for title in said:
        assert title in texts(app)
    assert newest().id == before
    # The name is still there to be submitted.
    assert app.text_input(key="draft.train.name").value == "only-planned"


def test_a_plan_is_refused_where_submitting_would_be(small: Path, open_page: Open) -> None:
    taken = newest().name
    app = open_page("submit").button(key="submit.plan.train").click().run()
    assert app.error[0].value.startswith("Fill in first: ")
    app = fill_training(open_page("submit"), taken)
    planned = app.button(key="submit.plan.train").click().run().error[0].value
    assert planned == send(app, "train").error[0].value
