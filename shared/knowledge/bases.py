"""Knowledge bases by name, their revisions, and the samples alive in one of them."""

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import Session, col, select

from shared import events
from shared.clock import db_now
from shared.errors import NameTaken, UnknownKnowledge, UnknownRevision, UnknownSample, both
from shared.names import check_name
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import KnowledgeBase, KnowledgeRevision, SampleVersion


def create(session: Session, name: str, *, actor: Actor) -> KnowledgeBase:
    """A new, empty knowledge base. Raises Forbidden, BadName, or NameTaken."""
    authorise(actor, Action.CREATE_KNOWLEDGE)
    check_name(name)
    if session.get(KnowledgeBase, name) is not None:
        raise NameTaken(thing=both("knowledge base", "知识库"), name=name)
    now = session.scalar(select(db_now())) or 0.0
    made = KnowledgeBase(name=name, user=actor.user, created_at=now)
    session.add(made)
    session.flush()
    events.record(session, "knowledge-added", actor=actor.user, name=name)
    return made


def find(session: Session, name: str) -> KnowledgeBase:
    """The knowledge base of that name. Raises UnknownKnowledge, listing the known ones."""
    found = session.get(KnowledgeBase, name)
    if found is None:
        known = ", ".join(each.name for each in listing(session))
        raise UnknownKnowledge(name=name, known=known or "-")
    return found


def listing(session: Session) -> list[KnowledgeBase]:
    """All knowledge bases, by name."""
    return list(session.exec(select(KnowledgeBase).order_by(KnowledgeBase.name)).all())


def revisions(session: Session, name: str) -> list[KnowledgeRevision]:
    """Every edit of a knowledge base, newest first."""
    find(session, name)
    query = select(KnowledgeRevision).where(KnowledgeRevision.base == name)
    return list(session.exec(query.order_by(col(KnowledgeRevision.revision).desc())).all())


def checked_revision(session: Session, name: str, revision: int | None) -> int:
    """The revision, or the newest one for None. Raises UnknownKnowledge, UnknownRevision."""
    newest = find(session, name).revision
    if revision is None:
        return newest
    if not 0 <= revision <= newest:
        raise UnknownRevision(name=name, revision=revision, newest=newest)
    return revision


def alive(name: str, revision: int) -> ColumnElement[bool]:
    """The condition that a version counts in a revision of a knowledge base."""
    return and_(
        col(SampleVersion.base) == name,
        col(SampleVersion.since) <= revision,
        or_(col(SampleVersion.until).is_(None), col(SampleVersion.until) > revision),
    )


def samples(
    session: Session,
    name: str,
    *,
    revision: int | None = None,
    text: str = "",
    lang: str = "",
    first: int = 0,
    most: int | None = None,
) -> list[SampleVersion]:
    """The samples of a revision that hold a text, newest first."""
    query = select(SampleVersion).where(_matching(session, name, revision, text, lang))
    query = query.order_by(col(SampleVersion.since).desc(), col(SampleVersion.key))
    return list(session.exec(query.offset(first).limit(most)).all())


def sample_count(
    session: Session, name: str, *, revision: int | None = None, text: str = "", lang: str = ""
) -> int:
    """How many samples `samples` would give without `first` and `most`."""
    query = select(func.count()).select_from(SampleVersion)
    return session.scalar(query.where(_matching(session, name, revision, text, lang))) or 0


def _matching(
    session: Session, name: str, revision: int | None, text: str, lang: str
) -> ColumnElement[bool]:
    condition = alive(name, checked_revision(session, name, revision))
    if lang:
        condition = and_(condition, col(SampleVersion.lang) == lang)
    if text:
        columns = (SampleVersion.instruction, SampleVersion.input, SampleVersion.output)
        holds = (col(each).contains(text, autoescape=True) for each in columns)
        condition = and_(condition, or_(*holds, col(SampleVersion.sample_id) == text))
    return condition


def sample(session: Session, name: str, sample_id: str) -> SampleVersion:
    """A sample as it is now. Raises UnknownSample."""
    find(session, name)
    query = select(SampleVersion).where(
        SampleVersion.base == name,
        SampleVersion.sample_id == sample_id,
        col(SampleVersion.until).is_(None),
    )
    found = session.exec(query).first()
    if found is None:
        raise UnknownSample(name=name, sample=sample_id)
    return found
