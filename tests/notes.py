"""A knowledge base that has been used, for tests that need one."""

from sqlmodel import Session

from shared import knowledge


def add_notes(session: Session, name: str, user: str) -> None:
    """A knowledge base of three revisions with one open proposal."""
    knowledge.create(session, name, user=user)
    texts = [knowledge.Text(f"How many legs has a {n}-bug?", f"It has {n}.") for n in range(60)]
    texts.append(knowledge.Text("蜘蛛有几条腿？", "八条。"))
    knowledge.add_many(session, name, texts, user=user)
    odd = knowledge.Text("What is <b>bold</b>?", "*Markup*.")
    knowledge.add(session, name, odd, user=user, days=30)
    knowledge.propose(session, name, knowledge.Text("How tall is it?", "Very."), user="eve")
