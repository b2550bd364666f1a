"""Failed sign-ins slow down the next ones under that name, whether anybody has it or not."""

import math

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from shared.bulk import is_sqlite
from shared.clock import db_now
from shared.errors import TooManyFailures
from shared.tables import SignInFailure

#: So many failures are free; each further one doubles the wait.
FREE = 5
FIRST_WAIT = 15.0
LONGEST_WAIT = 900.0
#: Names of which nothing was heard for a day are forgotten.
_MEMORY = 86_400.0
#: Of a name, what is kept; longer ones share a row.
_KEPT = 64


def wait_after(failures: int) -> float:
    """Seconds to wait after as many failures."""
    if failures < FREE:
        return 0.0
    return min(FIRST_WAIT * 2.0 ** min(failures - FREE, 30), LONGEST_WAIT)


def count(session: Session, name: str) -> None:
    """Count a try as failed before it is made, so that many at once are many.

    Raises TooManyFailures while the name must wait.
    """
    now = session.connection().execute(select(db_now())).scalar_one()
    session.connection().execute(
        delete(SignInFailure).where(col(SignInFailure.last_at) < now - _MEMORY)
    )
    dialect = sqlite if is_sqlite(session) else postgresql
    fresh = dialect.insert(SignInFailure).values(name=_key(name), failures=0, last_at=0.0)
    session.connection().execute(fresh.on_conflict_do_nothing())
    query = select(SignInFailure).where(col(SignInFailure.name) == _key(name))
    found = session.execute(query.with_for_update()).scalar_one()
    left = found.last_at + wait_after(found.failures) - now
    if left > 0:
        raise TooManyFailures(name=name[:_KEPT], seconds=math.ceil(left))
    found.failures += 1
    found.last_at = now
    session.add(found)
    session.flush()


def forget(session: Session, name: str) -> None:
    """After a sign-in that worked."""
    session.connection().execute(delete(SignInFailure).where(col(SignInFailure.name) == _key(name)))


def _key(name: str) -> str:
    return name.casefold()[:_KEPT]
