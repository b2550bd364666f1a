"""The form of a transfer also submits a whole study: every way, every control, one verdict."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import filled
from pages import Open, texts
from shared import db, jobs


@pytest.fixture
def page(empty_pool: Path, open_page: Open) -> AppTest:
    """The form of a transfer, the study's fields shown."""
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    app = open_page("submit", kind="fuse")
    app.selectbox(key="draft.fuse.method").set_value("refresh").run()
    return app.toggle(key="study.open").set_value(True).run()


def test_a_study_queues_natives_transfers_controls_and_their_evaluation(page: AppTest) -> None:
    page.text_input(key="draft.study.name").set_value("move")
    page.selectbox(key="draft.study.adapter").set_value("donor")
    page.selectbox(key="draft.study.host_base").set_value(filled.HOST_BASE)
    page.selectbox(key="draft.study.dataset").set_value(filled.TRAINING)
    page.multiselect(key="draft.study.benchmarks").set_value(["capitals"])
    page.multiselect(key="draft.study.methods").set_value(["refresh"])
    page.button(key="study.send").click().run()
    assert not page.exception
    with db.reading() as session:
        made = [job for job in jobs.listing(session, limit=50) if job.name.startswith("move")]
    assert {job.name for job in made} == {
        "move", "move-native", "move-few", "move-refresh", "move-copied", "move-shifted",
        "move-noise1", "move-noise2",
    }  # fmt: skip
    assert len({job.sweep for job in made}) == 1
    shown = texts(page)
    assert "Study move" in shown
    assert "8 jobs are queued" in shown


def test_a_study_says_what_is_missing_and_what_is_wrong(page: AppTest) -> None:
    page.button(key="study.send").click().run()
    assert "Study name" in page.error[0].value
    page.text_input(key="draft.study.name").set_value("a bad name!")
    page.selectbox(key="draft.study.adapter").set_value("donor")
    page.selectbox(key="draft.study.host_base").set_value(filled.HOST_BASE)
    page.selectbox(key="draft.study.dataset").set_value(filled.TRAINING)
    page.multiselect(key="draft.study.benchmarks").set_value(["capitals"])
    page.button(key="study.send").click().run()
    assert not page.exception
    assert "name" in page.error[0].value
    with db.reading() as session:
        assert [job for job in jobs.listing(session, limit=50) if "bad" in job.name] == []
