"""A desk of the pool: who asks, in which language they read, and where the dashboard is."""

from dataclasses import dataclass

from shared.api.answers import Fault
from shared.errors import GraftError, Language, from_record
from shared.people.actors import Actor


@dataclass(frozen=True)
class Desk:
    """Every operation is done as `actor`: the services refuse what that person may not do."""

    actor: Actor
    language: Language = "en"
    #: The dashboard's address, without a slash at the end.
    site: str = ""

    def link(self, page: str, **names: str) -> str:
        """A page of the dashboard."""
        query = "&".join(f"{key}={value}" for key, value in names.items())
        return f"{self.site}/{page}?{query}"

    def fault(self, error: GraftError) -> Fault:
        """An error as JSON, with its sentence in the reader's language."""
        record = error.record()
        return Fault(**record, message=error.message(self.language))

    def stored_fault(self, record: dict[str, object] | None) -> Fault | None:
        """The fault of a stored error record."""
        return self.fault(from_record(record)) if record else None
