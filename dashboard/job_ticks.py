"""Which jobs are ticked, by id: a tick stays with its job whatever rows arrive around it.

The table reports places. Its key names the ids it was drawn with, so a place always means the row
that was clicked; and while anything is ticked the rows stand still (their states go on).
"""

from collections.abc import Sequence

import streamlit as st

from dashboard import address

_TICKED, _HELD, _DRAWN = "jobs.ticked", "jobs.held", "jobs.drawn"


def ticked() -> list[str]:
    """Ids of the ticked jobs; a link or a reload brings those of its address."""
    arrived = address.arrived("jobs", "ticked")
    if arrived or _TICKED not in st.session_state:
        st.session_state[_TICKED] = list(arrived)
    return st.session_state[_TICKED]


def held(shown: Sequence[str]) -> list[str]:
    """The ids to go on showing while something is ticked; none when the newest may come."""
    if not ticked():
        st.session_state.pop(_HELD, None)
        return []
    return st.session_state.setdefault(_HELD, list(shown))


def holding() -> bool:
    """Rows stand still."""
    return bool(st.session_state.get(_HELD))


def release() -> None:
    """Let the newest rows come again; ticks stay."""
    st.session_state.pop(_HELD, None)


def clear() -> None:
    """Untick everything."""
    st.session_state[_TICKED] = []
    release()
    st.session_state[_DRAWN] = st.session_state.get(_DRAWN, 0) + 1


def table_key(ids: Sequence[str]) -> str:
    """The table's key: other rows are another table, so an old click can never meet new rows."""
    return f"jobs.table.{st.session_state.get(_DRAWN, 0)}.{hash(tuple(ids)) & 0xFFFFFFFFFFFF:x}"


def places(ids: Sequence[str]) -> list[int]:
    """Where the ticked ones of these rows are."""
    chosen = set(ticked())
    return [place for place, job_id in enumerate(ids) if job_id in chosen]


def take(key: str, ids: Sequence[str]) -> None:
    """What was ticked and unticked in the table of that key, which showed these ids."""
    rows = st.session_state[key]["selection"]["rows"]
    now = [ids[place] for place in rows if place < len(ids)]
    others = [job_id for job_id in ticked() if job_id not in ids]
    st.session_state[_TICKED] = others + now
    if now or others:
        st.session_state.setdefault(_HELD, list(ids))
    else:
        release()


def keep() -> None:
    """Write the ticked ids into the address."""
    address.keep("jobs", "ticked", ticked())
