"""Knowledge bases: versioned samples that go before a question instead of into weights."""

from shared.knowledge.asking import freeze, query, resolve
from shared.knowledge.bases import (
    create,
    find,
    listing,
    revisions,
    sample,
    sample_count,
    samples,
)
from shared.knowledge.edits import Text, add, add_many, edit, expire, retire_due
from shared.knowledge.proposals import approve, proposals, propose, reject

__all__ = [
    "Text", "add", "add_many", "approve", "create", "edit", "expire", "find", "freeze", "listing",
    "proposals", "propose", "query", "reject", "resolve", "retire_due", "revisions", "sample",
    "sample_count", "samples",
]  # fmt: skip
