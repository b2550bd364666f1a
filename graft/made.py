"""A published adapter: its facts, its page, its files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from graft.checked import checked
from shared.api.asked import CardText
from shared.api.things import AdapterAnswer
from shared.errors import FolderTaken

if TYPE_CHECKING:
    from graft.client import Client


class Adapter:
    """One adapter of the pool."""

    def __init__(self, client: "Client", answer: AdapterAnswer) -> None:
        self._client = client
        self.answer = answer

    name = property(lambda self: self.answer.name, doc="Its name.")
    base = property(lambda self: self.answer.base_model, doc="The base it belongs to.")
    rank = property(lambda self: self.answer.rank, doc="Its rank.")
    parents = property(lambda self: self.answer.parents, doc="Adapters it was fused from.")
    facts = property(lambda self: self.answer.facts, doc="What its job measured.")
    note = property(lambda self: self.answer.note, doc="What people wrote about it.")
    tags = property(lambda self: self.answer.tags, doc="Its tags.")
    promoted = property(lambda self: self.answer.promoted, doc="Is it the version to use?")
    url = property(lambda self: self.answer.url, doc="Its page in the dashboard.")

    def __repr__(self) -> str:
        return f"<Adapter {self.name!r} on {self.base} rank {self.rank} {self.url}>"

    def describe(self, **card: Any) -> "Adapter":
        """Write `note=`, `tags=`, or `promoted=True` for the version to use. Raises Forbidden."""
        asked = checked(CardText, card)
        self.answer = self._client.pool.adapters.describe(self.name, asked)
        return self

    def download(self, folder: Path | str) -> Path:
        """Copy its folder in PEFT's format. Raises FolderTaken for one that holds something."""
        target = Path(folder).expanduser().absolute()
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise FolderTaken(folder=str(folder))
        target.parent.mkdir(parents=True, exist_ok=True)
        self._client.pool.adapters.download(self.name, target)
        return target
