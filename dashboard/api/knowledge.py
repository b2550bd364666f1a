"""`/v1/knowledge`."""

from typing import Annotated

from fastapi import APIRouter, Path

from dashboard.api.callers import Caller
from shared.api.asked import Label, Question, Samples
from shared.api.things import AddedAnswer, KnowledgeAnswer, SampleAnswer

router = APIRouter(tags=["knowledge"])
Name = Annotated[Label, Path()]


@router.get("/knowledge", operation_id="knowledge_bases")
def listed(pool: Caller) -> list[KnowledgeAnswer]:
    """Every knowledge base."""
    return list(pool.knowledge.list())


@router.post("/knowledge/{name}/ask", operation_id="ask")
def ask(pool: Caller, name: Name, asked: Question) -> list[SampleAnswer]:
    """The samples that would go before a question, the most similar last."""
    return list(pool.knowledge.ask(name, asked))


@router.post("/knowledge/{name}/samples", status_code=201, operation_id="add_samples")
def add(pool: Caller, name: Name, asked: Samples) -> AddedAnswer:
    """Add samples in one revision; those that are there already are counted."""
    return pool.knowledge.add(name, asked)
