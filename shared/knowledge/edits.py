"""Changing a knowledge base: each edit ends versions, adds versions, and is one revision."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, update
from sqlmodel import Session, SQLModel, col, select

from shared.clock import db_now
from shared.columns import short_id
from shared.errors import EmptySample, SampleKnown
from shared.knowledge.bases import alive, find, sample
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.retrieval import content_hash
from shared.tables import KnowledgeBase, KnowledgeRevision, SampleVersion
from shared.templates import language_of

_TABLE = SQLModel.metadata.tables["sampleversion"]
#: Values looked up in one statement.
_CHUNK = 500
_DAY = 86_400.0


@dataclass(frozen=True)
class Text:
    """What a sample says. Raises EmptySample without an instruction or an output."""

    instruction: str
    output: str
    input: str = ""

    def __post_init__(self) -> None:
        for field in ("instruction", "output"):
            if not getattr(self, field).strip():
                raise EmptySample(field=field)

    @property
    def hash(self) -> str:
        return content_hash(self.instruction, self.input, self.output)


@dataclass(frozen=True)
class Added:
    """What an import did."""

    revision: int
    ids: list[str]
    #: Rows that were there already, or twice in what was given.
    known: int


def add(
    session: Session,
    name: str,
    text: Text,
    *,
    actor: Actor,
    source: str = "manual",
    days: float | None = None,
) -> SampleVersion:
    """Add one sample, as `add_many` does. Raises Forbidden, UnknownKnowledge, SampleKnown."""
    authorise(actor, Action.EDIT_KNOWLEDGE, owner=find(session, name).user)
    _lock(session, name)
    if found := _known(session, name, [text.hash]):
        raise SampleKnown(name=name, sample=found[text.hash])
    added = add_many(
        session, name, [text], actor=actor, source=source, days=days, action="add"
    )  # fmt: skip
    return sample(session, name, added.ids[0])


def add_many(
    session: Session,
    name: str,
    texts: Iterable[Text],
    *,
    actor: Actor,
    source: str = "manual",
    days: float | None = None,
    action: str = "import",
) -> Added:
    """Add samples in one revision, those that are there already left out and counted.

    `days`: they expire after as long. Nothing new makes no revision.
    Raises Forbidden, UnknownKnowledge.
    """
    authorise(actor, Action.EDIT_KNOWLEDGE, owner=find(session, name).user)
    _lock(session, name)
    given = list(texts)
    wanted = {text.hash: text for text in given}
    for known in _known(session, name, list(wanted)):
        del wanted[known]
    if not wanted:
        return Added(find(session, name).revision, [], len(given))
    revision = _next(session, name, action, actor.user, len(wanted), len(wanted))
    now = _now(session)
    ids = [short_id() for _ in wanted]
    rows = [
        _row(name, sample_id, text, revision, digest)
        | {"source": source, "user": actor.user, "created_at": now}
        | {"expires_at": None if days is None else now + days * _DAY}
        for sample_id, (digest, text) in zip(ids, wanted.items(), strict=True)
    ]
    session.connection().execute(insert(_TABLE), rows)
    return Added(revision, ids, len(given) - len(rows))


def edit(session: Session, name: str, sample_id: str, text: Text, *, actor: Actor) -> SampleVersion:
    """Give a sample another text; the same text changes nothing.

    Raises Forbidden, UnknownSample, or SampleKnown where another sample says the same.
    """
    authorise(actor, Action.EDIT_KNOWLEDGE, owner=find(session, name).user)
    _lock(session, name)
    old = sample(session, name, sample_id)
    if (old.instruction, old.input, old.output) == (text.instruction, text.input, text.output):
        return old
    known = _known(session, name, [text.hash]).get(text.hash, sample_id)
    if known != sample_id:
        raise SampleKnown(name=name, sample=known)
    revision = _next(session, name, "edit", actor.user, 1, 0)
    _end(session, [old.key or 0], revision)
    row = _row(name, sample_id, text, revision, text.hash)
    kept = {"source": old.source, "user": actor.user, "expires_at": old.expires_at}
    session.connection().execute(insert(_TABLE), [row | kept | {"created_at": _now(session)}])
    session.expire(old)
    return sample(session, name, sample_id)


def expire(session: Session, name: str, ids: Sequence[str], *, actor: Actor) -> int:
    """Take samples out; return the revision that lacks them. Raises Forbidden, and UnknownSample
    for the first that is not there."""
    authorise(actor, Action.EDIT_KNOWLEDGE, owner=find(session, name).user)
    _lock(session, name)
    found = [sample(session, name, each) for each in dict.fromkeys(ids)]
    return _expire(session, name, [each.key or 0 for each in found], actor.user)


def retire_due(session: Session, name: str) -> int:
    """Take out the samples whose time has come; return how many there were. Time's doing, not
    somebody's: it asks for no permission."""
    due = select(SampleVersion.key).where(
        SampleVersion.base == name,
        col(SampleVersion.until).is_(None),
        col(SampleVersion.expires_at) <= db_now(),
    )
    if session.exec(due.limit(1)).first() is None:
        return 0
    _lock(session, name)
    keys = [key or 0 for key in session.exec(due).all()]
    if keys:
        _expire(session, name, keys, "")
    return len(keys)


def _expire(session: Session, name: str, keys: list[int], user: str) -> int:
    revision = _next(session, name, "expire", user, len(keys), -len(keys))
    _end(session, keys, revision)
    return revision


def _lock(session: Session, name: str) -> None:
    """Hold the knowledge base until this transaction ends; edits go one after another.

    Raises UnknownKnowledge.
    """
    find(session, name)
    held = update(KnowledgeBase).where(col(KnowledgeBase.name) == name)
    session.connection().execute(held.values(revision=KnowledgeBase.revision))
    session.refresh(find(session, name))


def _next(session: Session, name: str, action: str, user: str, changed: int, more: int) -> int:
    """Raise the revision and note who did what; `more` samples than before, or fewer."""
    base = find(session, name)
    count = select(func.count()).select_from(SampleVersion).where(alive(name, base.revision))
    before = session.get(KnowledgeRevision, (name, base.revision))
    samples = before.samples if before is not None else session.scalar(count) or 0
    base.revision += 1
    session.add(
        KnowledgeRevision(
            base=name, revision=base.revision, action=action, changed=changed,
            samples=samples + more, user=user, created_at=_now(session),
        )
    )  # fmt: skip
    session.flush()
    return base.revision


def _known(session: Session, name: str, hashes: Sequence[str]) -> dict[str, str]:
    """The ids of the samples that say one of these, by hash."""
    found: dict[str, str] = {}
    for first in range(0, len(hashes), _CHUNK):
        query = select(SampleVersion.content_hash, SampleVersion.sample_id).where(
            SampleVersion.base == name,
            col(SampleVersion.until).is_(None),
            col(SampleVersion.content_hash).in_(hashes[first : first + _CHUNK]),
        )
        found |= dict(session.exec(query).all())
    return found


def _end(session: Session, keys: Sequence[int], revision: int) -> None:
    for first in range(0, len(keys), _CHUNK):
        ended = update(_TABLE).where(_TABLE.c.key.in_(keys[first : first + _CHUNK]))
        session.connection().execute(ended.values(until=revision))


def _row(name: str, sample_id: str, text: Text, since: int, digest: str) -> dict[str, object]:
    return {
        "base": name, "sample_id": sample_id, "since": since, "until": None,
        "lang": language_of(text.instruction + text.output), "instruction": text.instruction,
        "input": text.input, "output": text.output, "content_hash": digest,
    }  # fmt: skip


def _now(session: Session) -> float:
    return session.scalar(select(db_now())) or 0.0
