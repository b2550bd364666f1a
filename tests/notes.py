"""A knowledge base that has been used, for tests that need one."""

from sqlmodel import Session

from shared import knowledge
from shared.people.actors import Actor


def add_notes(session: Session, name: str, user: str) -> None:
    """A knowledge base of three revisions with one open proposal."""
    knowledge.create(session, name, actor=Actor.admin(user))
    texts = [knowledge.Text(f"How many legs has a {n}-bug?", f"It has {n}.") for n in range(60)]
    texts.append(knowledge.Text("蜘蛛有几条腿？", "八条。"))
    knowledge.add_many(session, name, texts, actor=Actor.admin(user))
    odd = knowledge.Text("What is <b>bold</b>?", "*Markup*.")
    knowledge.add(session, name, odd, actor=Actor.admin(user), days=30)
    knowledge.propose(
        session, name, knowledge.Text("How tall is it?", "Very."), actor=Actor.admin("eve")
    )
