"""The knowledge page: search, edit, expire, approve, and what a question finds."""

from pathlib import Path

import pytest

import filled
from pages import Open, texts
from shared import db, knowledge
from shared.errors import Language

NOTES = filled.KNOWLEDGE


@pytest.fixture
def notes(empty_pool: Path) -> str:
    """A knowledge base of this test's own."""
    filled.fill(empty_pool, items=3, arms=("base",))
    return NOTES


@pytest.mark.parametrize(("language", "lead"), [("en", "With samples"), ("zh", "带样本")])
def test_a_question_shows_its_samples_and_the_prompt_with_and_without_them(
    pool: Path, open_page: Open, language: Language, lead: str
) -> None:
    app = open_page("knowledge", language, name=NOTES)
    app.text_input(key="knowledge.try.question").set_value("legs of the 7-bug").run()
    page = texts(app)
    assert lead in page
    without, along = (each.value for each in app.code)
    assert "How many legs has a 7-bug?" not in without
    assert along.index("How many legs has a 7-bug?") < along.index("legs of the 7-bug")
    assert along.rindex("It has 7.") > along.index("It has")


def test_samples_are_searched_and_shown_as_they_are(pool: Path, open_page: Open) -> None:
    app = open_page("knowledge", name=NOTES, text="<b>")
    rows = app.dataframe[0].value.to_dict("records")
    assert [row["question"] for row in rows] == ["What is <b>bold</b>?"]
    assert rows[0]["expires"]
    assert len(open_page("knowledge", name=NOTES).dataframe[0].value) == 50


def test_a_sample_is_added_edited_and_taken_out(notes: str, open_page: Open) -> None:
    app = open_page("knowledge", name=notes)
    app.text_area(key="knowledge.add.instruction").set_value("Where is it?")
    app.text_area(key="knowledge.add.output").set_value("There.")
    app.button("FormSubmitter:knowledge.add-Add").click().run()
    assert "is added" in app.success[0].value
    with db.reading() as session:
        (made,) = knowledge.samples(session, notes, text="Where is it?")
    app = open_page("knowledge", name=notes, sample=made.sample_id)
    key = f"knowledge.edit.{made.sample_id}.{made.since}"
    app.text_area(key=f"{key}.output").set_value("Here.")
    app.button(f"FormSubmitter:{key}-Save").click().run()
    with db.reading() as session:
        new = knowledge.sample(session, notes, made.sample_id)
    assert (new.output, new.since) == ("Here.", made.since + 1)
    app = open_page("knowledge", name=notes, sample=made.sample_id)
    app.button(f"FormSubmitter:knowledge.edit.{made.sample_id}.{new.since}-Take out").click().run()
    assert f"{notes}@{new.since + 1}" in app.success[0].value


def test_a_proposal_is_approved_and_a_refusal_is_a_sentence(notes: str, open_page: Open) -> None:
    with db.reading() as session:
        (proposal,) = knowledge.proposals(session, notes)
    app = open_page("knowledge", name=notes)
    app.button(f"knowledge.approve.{proposal.id}").click().run()
    with db.reading() as session:
        assert knowledge.proposals(session, notes) == []
        assert knowledge.samples(session, notes, text="How tall")[0].source == "feedback"
    app.text_area(key="knowledge.add.instruction").set_value("How tall is it?")
    app.text_area(key="knowledge.add.output").set_value("Very.")
    app.button("FormSubmitter:knowledge.add-Add").click().run()
    assert "has this sample already" in app.error[0].value


def test_a_new_base_is_made_and_the_rows_of_a_dataset_imported(notes: str, open_page: Open) -> None:
    app = open_page("knowledge")
    app.text_input(key="knowledge.new.name").set_value("fresh")
    app.button("FormSubmitter:knowledge.new-Make").click().run()
    assert app.title[0].value == "fresh"
    app.selectbox(key="knowledge.dataset").set_value(filled.TRAINING).run()
    app.button("knowledge.import").click().run()
    assert "30 samples added, 0 were there already" in app.success[0].value
