"""Knowledge bases on both databases: edits, revisions that stand still, proposals, expiry."""

from pathlib import Path

import pytest
from sqlmodel import select

from shared import db, knowledge
from shared.errors import (
    EmptyKnowledge,
    EmptySample,
    InvalidSpec,
    NameTaken,
    SampleKnown,
    UnknownKnowledge,
    UnknownProposal,
    UnknownRevision,
    UnknownSample,
)
from shared.knowledge import Text
from shared.people.actors import Actor
from shared.retrieval import Found
from shared.storage import Store
from shared.tables import SampleVersion

COLOURS = {"grass": "green", "snow": "white", "coal": "black", "blood": "red"}


def _fill(days: float | None = None) -> list[str]:
    texts = [Text(f"What colour is {thing}?", colour) for thing, colour in COLOURS.items()]
    with db.writing() as session:
        knowledge.create(session, "facts", actor=Actor.admin("ann"))
        return knowledge.add_many(session, "facts", texts, actor=Actor.admin("ann"), days=days).ids


def _ask(question: str, k: int = 1, revision: int | None = None) -> Found:
    with db.reading() as session:
        return knowledge.query(session, "facts", question, k, revision=revision)


def _outputs(found: Found) -> list[str]:
    return [hit.sample.output for hit in found.hits]


def test_a_frozen_revision_answers_the_same_after_edits(database: str) -> None:
    ids = _fill()
    with db.reading() as session:
        frozen = knowledge.resolve(session, "facts")
        assert frozen == ("facts", 1)
    before = _ask("which colour is fresh snow", 3, revision=1)
    with db.writing() as session:
        knowledge.edit(
            session, "facts", ids[1], Text("Is snow warm?", "no"), actor=Actor.admin("bob")
        )
        knowledge.expire(session, "facts", [ids[0]], actor=Actor.admin("bob"))
        knowledge.add(
            session, "facts", Text("What colour is old snow?", "grey"), actor=Actor.admin("bob")
        )
    assert _ask("which colour is fresh snow", 3, revision=1) == before
    now = _outputs(_ask("which colour is fresh snow", 3))
    assert now[-1] == "grey"
    assert "white" not in now
    with db.reading() as session:
        history = [
            (each.revision, each.action, each.changed, each.samples, each.user)
            for each in knowledge.revisions(session, "facts")
        ]
    assert history == [
        (4, "add", 1, 4, "bob"), (3, "expire", 1, 3, "bob"), (2, "edit", 1, 4, "bob"),
        (1, "import", 4, 4, "ann"),
    ]  # fmt: skip


def test_an_edit_is_seen_by_the_next_question(database: str) -> None:
    ids = _fill()
    assert _outputs(_ask("the colour of coal")) == ["black"]
    with db.writing() as session:
        version = knowledge.edit(
            session,
            "facts",
            ids[2],
            Text("What colour is coal?", "dark grey"),
            actor=Actor.admin("ann"),
        )
        assert (version.sample_id, version.since) == (ids[2], 2)
    (hit,) = _ask("the colour of coal").hits
    assert (hit.sample.output, hit.sample.version) == ("dark grey", f"{ids[2]}@2")


def test_what_is_there_already_is_counted_in_an_import_and_named_when_added(database: str) -> None:
    ids = _fill()
    again = [Text("what colour is GRASS", "Green"), Text("What colour is ink?", "blue")]
    with db.writing() as session:
        added = knowledge.add_many(session, "facts", again, actor=Actor.admin("ann"))
        assert (len(added.ids), added.known, added.revision) == (1, 1, 2)
        assert knowledge.add_many(session, "facts", again, actor=Actor.admin("ann")).revision == 2
        with pytest.raises(SampleKnown, match=ids[0]):
            knowledge.add(session, "facts", again[0], actor=Actor.admin("ann"))
        with pytest.raises(SampleKnown, match=ids[0]):
            knowledge.edit(session, "facts", ids[1], again[0], actor=Actor.admin("ann"))
        # The same text again is no edit, and what was taken out may come back.
        same = Text("What colour is snow?", "white")
        assert knowledge.edit(session, "facts", ids[1], same, actor=Actor.admin("ann")).since == 1
        knowledge.expire(session, "facts", [ids[0]], actor=Actor.admin("ann"))
        assert knowledge.add(session, "facts", again[0], actor=Actor.admin("ann")).since == 4


def test_a_proposal_counts_once_it_is_approved(database: str) -> None:
    _fill()
    with db.writing() as session:
        offered = [
            knowledge.propose(
                session, "facts", Text(f"Colour of {thing}?", colour), actor=Actor.admin("eve")
            )
            for thing, colour in (("amber", "gold"), ("jade", "pink"), ("snow", "white"))
        ]
    assert "gold" not in _outputs(_ask("colour of amber", 9))
    with db.writing() as session:
        approved = knowledge.approve(session, "facts", offered[0].id, actor=Actor.admin("ann"))
        knowledge.reject(session, "facts", offered[1].id, actor=Actor.admin("ann"))
        assert approved.decided_by == "ann"
        assert knowledge.sample(session, "facts", approved.sample_id or "").source == "feedback"
        with pytest.raises(UnknownProposal):
            knowledge.approve(session, "facts", offered[1].id, actor=Actor.admin("ann"))
        left = knowledge.proposals(session, "facts")
        assert [each.id for each in left] == [offered[2].id]
    assert _outputs(_ask("colour of amber")) == ["gold"]
    with db.reading() as session:
        told = knowledge.query(session, "facts", "colour of amber", 1, guarded=True)
        assert (told.leaks, _outputs(told) == ["gold"]) == (1, False)
    assert "pink" not in _outputs(_ask("colour of jade", 9))


def test_samples_leave_when_their_time_has_come(database: str) -> None:
    _fill(days=30.0)
    with db.writing() as session:
        assert knowledge.retire_due(session, "facts") == 0
        row = session.exec(select(SampleVersion).where(SampleVersion.output == "red")).one()
        row.expires_at = 1.0
        session.add(row)
    with db.writing() as session:
        assert knowledge.retire_due(session, "facts") == 1
        assert knowledge.sample_count(session, "facts") == 3
        assert knowledge.sample_count(session, "facts", revision=1) == 4
        assert knowledge.sample_count(session, "facts", text="colour is gra") == 1


def test_a_frozen_revision_is_a_file_that_never_changes(database: str, tmp_path: Path) -> None:
    ids = _fill()
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    with db.reading() as session:
        first = knowledge.freeze(session, "facts@1", store)
    with db.writing() as session:
        knowledge.expire(session, "facts", ids[:2], actor=Actor.admin("ann"))
        assert knowledge.freeze(session, "facts@1", store) == first
        newest = knowledge.freeze(session, "facts", store)
    assert (first.name, newest.name) == ("facts@1", "facts@2")
    assert first.path.read_text().count("\n") == 4
    assert newest.path.read_text().count("\n") == 2


def test_wrong_names_revisions_and_texts_are_refused_by_name(database: str) -> None:
    ids = _fill()
    with db.writing() as session:
        with pytest.raises(NameTaken, match="facts"):
            knowledge.create(session, "facts", actor=Actor.admin("ann"))
        with pytest.raises(UnknownKnowledge, match="Known: facts"):
            knowledge.query(session, "fact", "x", 1)
        with pytest.raises(UnknownRevision, match="newest is 1"):
            knowledge.resolve(session, "facts@2")
        with pytest.raises(InvalidSpec, match="NAME@REVISION"):
            knowledge.resolve(session, "facts@new")
        with pytest.raises(UnknownSample, match="nobody"):
            knowledge.expire(session, "facts", [ids[0], "nobody"], actor=Actor.admin("ann"))
        with pytest.raises(EmptySample, match="output"):
            Text("x", " ")
        with pytest.raises(EmptyKnowledge, match="revision 0"):
            knowledge.resolve(session, "facts@0")
