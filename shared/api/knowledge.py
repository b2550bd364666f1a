"""Knowledge bases: asked, and added to."""

from collections.abc import Sequence

from shared import db
from shared import knowledge as service
from shared.api.asked import Question, Samples
from shared.api.desk import Desk
from shared.api.things import AddedAnswer, KnowledgeAnswer, SampleAnswer


class Knowledge(Desk):
    """The knowledge bases of the pool. Methods that name one raise UnknownKnowledge."""

    def list(self) -> Sequence[KnowledgeAnswer]:
        """Every knowledge base by name."""
        with db.reading() as session:
            return [
                KnowledgeAnswer(
                    name=each.name, revision=each.revision, user=each.user,
                    samples=service.sample_count(session, each.name), created_at=each.created_at,
                )
                for each in service.listing(session)
            ]  # fmt: skip

    def ask(self, name: str, asked: Question) -> Sequence[SampleAnswer]:
        """The samples that would go before a question, the most similar last.

        Raises UnknownRevision.
        """
        with db.reading() as session:
            found = service.query(
                session, name, asked.question, asked.k, revision=asked.revision, lang=asked.lang
            )
        return [SampleAnswer(**hit.sample.model_dump(), score=hit.score) for hit in found.hits]

    def add(self, name: str, asked: Samples) -> AddedAnswer:
        """Add samples in one revision; those that are there are counted. Raises Forbidden."""
        texts = [service.Text(**each.model_dump()) for each in asked.samples]
        with db.writing() as session:
            made = service.add_many(
                session, name, texts, actor=self.actor, source="api", days=asked.days
            )
        return AddedAnswer(revision=made.revision, ids=made.ids, known=made.known)
