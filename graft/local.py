"""The pool of this machine's settings, in this process: the database the commands work on."""

from typing import TYPE_CHECKING

from shared.errors import Language

if TYPE_CHECKING:
    from shared.api.pool import Pool


def local_pool(language: Language) -> "Pool":
    """The pool as this person may use it; a SQLite file that is not there yet is made.

    Raises SchemaOutdated, NotReachable.
    """
    # SQLAlchemy and what it needs take a second, which a client of a remote pool is spared.
    from shared.api.pool import Pool
    from shared.config import settings
    from shared.people.actors import local_actor
    from shared.schema import ready

    ready()
    address, port = settings().dashboard_address, settings().dashboard_port
    return Pool(local_actor(), language, f"http://{address}:{port}")
