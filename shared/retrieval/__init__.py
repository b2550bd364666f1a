"""Finding the samples most like a question: BM25 over words and Chinese character pairs."""

from shared.retrieval.index import Index, Version
from shared.retrieval.samples import Found, Hit, Sample, read_samples, write_samples
from shared.retrieval.select import DUPLICATE, at_random, looked_at, most_similar
from shared.retrieval.text import content_hash, terms
from shared.retrieval.vectors import Vectors

__all__ = [
    "DUPLICATE", "Found", "Hit", "Index", "Sample", "Vectors", "Version", "at_random",
    "content_hash", "looked_at", "most_similar", "read_samples", "terms", "write_samples",
]  # fmt: skip
