"""Real clicks in a real Chromium: a base and an adapter chat side by side on a pool at work."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from processes import until
from shared import base_models, chats, db, jobs, knowledge
from shared.people.actors import local_actor
from shared.storage import seal, store
from shared.tables import Adapter
from tiny_bases import write_adapter
from visitors import (
    PATIENCE,
    Visitor,
    badge,
    browser,
    choose,
    heading,
    healthy,
    press,
    settled,
    working,
    write,
)  # fmt: skip

__all__ = ["browser", "working"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def _adapter(base: Path, name: str) -> None:
    """A random adapter of the base `tiny`, published."""
    folder = store().attempt_folder(f"made-{name}", 1) / "out"
    write_adapter(base, folder, scale=0.3)
    digest, uri = seal(folder), store().publish(folder, f"jobs/made-{name}/a1/out")
    with db.writing() as session:
        own = base_models.find(session, "tiny").fingerprint
        session.add(Adapter(name=name, uri=uri, sha256=digest, rank=4, method="train",
                            base_model="tiny", base_fingerprint=own))  # fmt: skip
        knowledge.create(session, "notes", actor=local_actor())


@pytest.mark.journey
def test_two_arms_answer_side_by_side_are_voted_on_kept_and_stopped(
    working: Visitor, tiny_llama: Path
) -> None:
    _adapter(tiny_llama, "elm")
    page = working.open("/playground")
    heading(page, "Playground")
    for label, option in (("Base model", "tiny"), ("^Adapters", "elm")):
        choose(page, label, option)
    page.keyboard.press("Escape")
    press(page, "Start the session")
    expect(page.get_by_text("The arms are loaded")).to_be_visible(timeout=2 * PATIENCE)
    settled(page)
    field = page.get_by_test_id("stChatInputTextArea")
    field.fill("Name the capital of France.")
    field.press("Enter")
    expect(page.get_by_text(re.compile(r"\d+ tokens, [\d.]+ per second"))).to_have_count(2)
    healthy(page)
    with db.reading() as session:
        [job] = chats.sessions(session, jobs.listing(session)[0].user, 5)
        [turn] = chats.turns(session, job.id)
    assert turn.answers["base"]["text"] != turn.answers["elm"]["text"]

    press(page, "elm is best")
    expect(page.get_by_text("Votes (1)")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Save as feedback").last.click()
    write(page, page.get_by_label("Answer", exact=True), "Paris.")
    press(page, "Propose")
    expect(page.get_by_text("Proposed to notes.")).to_be_visible()
    press(page, "Stop")
    expect(badge(page, "cancelled")).to_be_visible()
    expect(page.get_by_text("Start again opens a new one")).to_be_visible()
    healthy(page)
    assert working.outside == []

    with db.reading() as session:
        assert [vote.outcome for vote in chats.votes(session, job.id)] == ["elm"]
        [kept] = knowledge.proposals(session, "notes")
        assert (kept.instruction, kept.output) == ("Name the capital of France.", "Paris.")
    until(lambda: _held(job.id) > 0, "the seconds are accounted")
    page.context.close()


def _held(job_id: str) -> float:
    """GPU-seconds that the session is charged for."""
    with db.reading() as session:
        return sum(attempt.gpu_seconds for attempt in jobs.attempts(session, job_id))
