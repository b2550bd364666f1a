"""Samples that users propose: they wait until somebody approves or rejects them."""

from sqlmodel import Session, col, select

from shared.clock import db_now
from shared.errors import UnknownProposal
from shared.knowledge.bases import find
from shared.knowledge.edits import Text, add_many
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import Proposal, SampleVersion


def propose(session: Session, name: str, text: Text, *, actor: Actor) -> Proposal:
    """Put a sample forward; it is not retrieved before it is approved.

    Raises Forbidden, UnknownKnowledge.
    """
    authorise(actor, Action.PROPOSE_SAMPLE)
    find(session, name)
    made = Proposal(
        base=name, instruction=text.instruction, input=text.input, output=text.output,
        user=actor.user, created_at=session.scalar(select(db_now())) or 0.0,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def proposals(session: Session, name: str, state: str = "open") -> list[Proposal]:
    """Proposals in a state, the oldest first."""
    find(session, name)
    query = select(Proposal).where(Proposal.base == name, Proposal.state == state)
    return list(session.exec(query.order_by(col(Proposal.created_at), Proposal.id)).all())


def approve(session: Session, name: str, proposal: str, *, actor: Actor) -> Proposal:
    """Make a proposal a sample (one that is there already stays the only one).

    Raises Forbidden, UnknownProposal.
    """
    authorise(actor, Action.APPROVE_SAMPLE, owner=find(session, name).user)
    found = _open(session, name, proposal)
    text = Text(found.instruction, found.output, found.input)
    added = add_many(
        session, name, [text], actor=actor, source="feedback", action="approve"
    )  # fmt: skip
    same = select(SampleVersion.sample_id).where(
        SampleVersion.base == name,
        SampleVersion.content_hash == text.hash,
        col(SampleVersion.until).is_(None),
    )
    found.sample_id = added.ids[0] if added.ids else session.exec(same).one()
    return _decide(session, found, "approved", actor.user)


def reject(session: Session, name: str, proposal: str, *, actor: Actor) -> Proposal:
    """Put a proposal aside. Raises Forbidden, UnknownProposal."""
    authorise(actor, Action.APPROVE_SAMPLE, owner=find(session, name).user)
    return _decide(session, _open(session, name, proposal), "rejected", actor.user)


def _decide(session: Session, found: Proposal, state: str, user: str) -> Proposal:
    found.state, found.decided_by = state, user
    session.add(found)
    session.flush()
    return found


def _open(session: Session, name: str, proposal: str) -> Proposal:
    find(session, name)
    found = session.get(Proposal, proposal, with_for_update=True)
    if found is None or found.base != name or found.state != "open":
        raise UnknownProposal(name=name, proposal=proposal)
    return found
