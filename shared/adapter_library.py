"""The library of adapters: found by what people wrote about them, one version recommended."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session, col, select

from shared import events, results
from shared.cards import AdapterCard
from shared.clock import db_now
from shared.errors import InvalidSpec, both
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import Adapter

#: `chat-v2`, `chat.2` and `chat_v10` are versions of `chat`.
_VERSION = re.compile(r"^(?P<family>.*[^-._])[-._]v?\d+$")
MOST_TAGS, LONGEST_TAG, LONGEST_NOTE = 12, 32, 4000


@dataclass(frozen=True)
class Entry:
    """An adapter with its card."""

    adapter: Adapter
    card: AdapterCard


def family(name: str) -> str:
    """The name without its version: `chat-v2` is of the family `chat`, as is `chat` itself."""
    match = _VERSION.match(name)
    return match["family"] if match else name


def card(session: Session, name: str) -> AdapterCard:
    """The card of an adapter; an empty one where nobody wrote anything."""
    return session.get(AdapterCard, name) or AdapterCard(adapter=name)


def entries(session: Session, *, text: str = "", tags: Iterable[str] = ()) -> list[Entry]:
    """Adapters whose name, base, parents, note or tags hold the text, with all of the tags; the
    newest first."""
    cards = {each.adapter: each for each in session.exec(select(AdapterCard))}
    wanted, needle = set(tags), text.strip().lower()
    found = []
    for adapter in results.adapters(session):
        own = cards.get(adapter.name) or AdapterCard(adapter=adapter.name)
        told = [adapter.name, adapter.base_model, *(adapter.parents or []), own.note, *own.tags]
        if wanted <= set(own.tags) and needle in "\n".join(told).lower():
            found.append(Entry(adapter, own))
    return found


def all_tags(session: Session) -> list[str]:
    """Every tag in use, in order of the alphabet."""
    return sorted({tag for tags in session.exec(select(AdapterCard.tags)) for tag in tags})


def versions(session: Session, name: str) -> list[Entry]:
    """The adapters of one family on one base, the newest first; at least the adapter itself.

    Raises UnknownAdapter.
    """
    own = results.adapter(session, name)
    return [
        each
        for each in entries(session)
        if family(each.adapter.name) == family(name) and each.adapter.base_model == own.base_model
    ]


def describe(
    session: Session, name: str, *, note: str, tags: Iterable[str], actor: Actor
) -> AdapterCard:
    """Write an adapter's note and tags.

    Raises UnknownAdapter, Forbidden, and InvalidSpec for a note or tags too long or too many.
    """
    own = results.adapter(session, name)
    authorise(actor, Action.RENAME_ADAPTER, owner=own.user)
    kept = list(dict.fromkeys(tag.strip().lower() for tag in tags if tag.strip()))
    if len(kept) > MOST_TAGS or any(len(tag) > LONGEST_TAG or "," in tag for tag in kept):
        problem = both(
            f"at most {MOST_TAGS} tags of {LONGEST_TAG} characters, without commas",
            f"最多 {MOST_TAGS} 个标签，每个至多 {LONGEST_TAG} 个字符，不含逗号",
        )
        raise InvalidSpec(field="tags", problem=problem)
    if len(note) > LONGEST_NOTE:
        problem = both(f"at most {LONGEST_NOTE} characters", f"最多 {LONGEST_NOTE} 个字符")
        raise InvalidSpec(field="note", problem=problem)
    made = card(session, name)
    made.note, made.tags = note.strip(), kept
    session.add(made)
    session.flush()
    events.record(session, "adapter-described", actor=actor.user, name=name, tags=kept)
    return made


def promote(session: Session, name: str, *, actor: Actor) -> AdapterCard:
    """Recommend this version; another version of its family is recommended no longer.

    Raises UnknownAdapter, Forbidden.
    """
    own = results.adapter(session, name)
    authorise(actor, Action.PROMOTE_ADAPTER, owner=own.user)
    for each in versions(session, name):
        if each.card.promoted_by and each.adapter.name != name:
            each.card.promoted_by, each.card.promoted_at = "", None
            session.add(each.card)
    made = card(session, name)
    made.promoted_by = actor.user
    made.promoted_at = session.scalar(select(db_now())) or 0.0
    session.add(made)
    session.flush()
    events.record(session, "adapter-promoted", actor=actor.user, name=name)
    return made


def demote(session: Session, name: str, *, actor: Actor) -> AdapterCard:
    """Recommend this version no longer. Raises UnknownAdapter, Forbidden."""
    own = results.adapter(session, name)
    authorise(actor, Action.PROMOTE_ADAPTER, owner=own.user)
    made = card(session, name)
    made.promoted_by, made.promoted_at = "", None
    session.add(made)
    session.flush()
    events.record(session, "adapter-demoted", actor=actor.user, name=name)
    return made


def promoted(session: Session) -> set[str]:
    """Names of the adapters that are recommended."""
    return set(
        session.exec(select(AdapterCard.adapter).where(col(AdapterCard.promoted_by) != "")).all()
    )
