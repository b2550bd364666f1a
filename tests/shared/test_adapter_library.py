"""The library of adapters: found by what people wrote, one version of a family recommended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import filled
import pools
from shared import adapter_library, db
from shared.errors import Forbidden, InvalidSpec
from shared.people.actors import Actor, Role
from shared.tables import Adapter

OWNER = Actor(filled.USER, Role.MEMBER)


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A used pool, with three versions of one adapter on one base and one on another."""
    pools.use(monkeypatch, tmp_path, user=filled.USER)
    filled.fill(tmp_path, items=3, arms=("base", "native"))
    with db.writing() as session:
        for name, base in (("chat", "tiny-llama"), ("chat-v1", "tiny-llama"),
                           ("chat-v2", "tiny-llama"), ("chat-v3", "tiny-glm")):  # fmt: skip
            session.add(Adapter(name=name, method="train", base_model=base, rank=4, uri="x",
                                base_fingerprint=base, sha256=name, user=filled.USER))  # fmt: skip
    yield
    pools.forget()


@pytest.mark.usefixtures("pool")
def test_adapters_are_found_by_note_parent_and_tags() -> None:
    with db.writing() as session:
        tags = ["Demo", "demo", " zh "]
        adapter_library.describe(session, "fused", note="Good at rivers", tags=tags, actor=OWNER)
    with db.reading() as session:
        found = [adapter_library.entries(session, text=text) for text in ("RIVERS", "second")]
        tagged = adapter_library.entries(session, tags=["zh", "demo"])
        assert adapter_library.all_tags(session) == ["demo", "zh"]
        assert adapter_library.entries(session, tags=["zh", "other"]) == []
    names = [{each.adapter.name for each in entries} for entries in (*found, tagged)]
    assert names == [{"fused"}, {"second", "fused"}, {"fused"}]


@pytest.mark.usefixtures("pool")
def test_promoting_one_version_ends_the_recommendation_of_another_of_its_base() -> None:
    with db.writing() as session:
        adapter_library.promote(session, "chat-v3", actor=OWNER)
        adapter_library.promote(session, "chat-v1", actor=OWNER)
        adapter_library.promote(session, "chat-v2", actor=OWNER)
    with db.reading() as session:
        assert adapter_library.promoted(session) == {"chat-v2", "chat-v3"}
        names = {each.adapter.name for each in adapter_library.versions(session, "chat-v2")}
    assert names == {"chat", "chat-v1", "chat-v2"}
    with db.writing() as session:
        adapter_library.demote(session, "chat-v2", actor=OWNER)
        assert adapter_library.promoted(session) == {"chat-v3"}


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("actor", [Actor("v", Role.VIEWER), Actor("somebody", Role.MEMBER)])
def test_only_the_owner_and_admins_write_on_a_card(actor: Actor) -> None:
    with db.writing() as session:
        for change in (adapter_library.promote, adapter_library.demote):
            with pytest.raises(Forbidden):
                change(session, "fused", actor=actor)
        with pytest.raises(Forbidden):
            adapter_library.describe(session, "fused", note="x", tags=[], actor=actor)
        adapter_library.promote(session, "fused", actor=Actor("boss", Role.ADMIN))


@pytest.mark.usefixtures("pool")
def test_too_many_tags_and_a_note_too_long_are_refused_by_name() -> None:
    with db.writing() as session:
        with pytest.raises(InvalidSpec, match="tags"):
            adapter_library.describe(
                session, "fused", note="", tags=map(str, range(13)), actor=OWNER
            )
        with pytest.raises(InvalidSpec, match="note"):
            adapter_library.describe(session, "fused", note="x" * 5000, tags=[], actor=OWNER)


@pytest.mark.parametrize(
    ("name", "family"),
    [("chat-v2", "chat"), ("chat.10", "chat"), ("llama-7b", "llama-7b"), ("chat", "chat")],
)
def test_a_version_is_a_number_after_the_last_mark(name: str, family: str) -> None:
    assert adapter_library.family(name) == family
