"""A word in the corner of any page when one of the reader's jobs has ended, with a link."""

from collections import Counter
from contextlib import suppress
from urllib.parse import urlencode

import streamlit as st
from sqlalchemy.exc import OperationalError, ProgrammingError

from dashboard import parts
from dashboard.language import Words
from shared import db, endings
from shared.endings import Ending
from shared.tables import JobState

#: Seconds between two looks.
EVERY = 5
#: Seconds that a word stays, unless it is closed: enough to reach for its link.
LASTS = 20
#: More ends than this at once are told in one sentence.
_SINGLY = 3
#: Events that are looked at once more: one transaction may be seen before an earlier one.
_OVERLAP = 50
_START, _SEEN, _TOLD = "toasts.start", "toasts.seen", "toasts.told"
ICONS = {
    JobState.SUCCEEDED: ":material/check_circle:",
    JobState.FAILED: ":material/error:",
    JobState.CANCELLED: ":material/block:",
}


@st.fragment(run_every=EVERY, key="toasts")
def toasts(words: Words) -> None:
    """Tell what ended since the last look; each end once, over reloads and windows too."""
    # A database that is away is the page's to say.
    with suppress(OperationalError, ProgrammingError):
        found = _news()
        if len(found) > _SINGLY:
            _several(words, found)
        else:
            for each in found:
                _one(words, each)


def _news() -> list[Ending]:
    """What ended since this window last looked; a new window goes on where others were."""
    actor, state = parts.actor(), st.session_state
    with db.reading() as session:
        newest = endings.newest(session)
        known = state[_SEEN] if _SEEN in state else endings.told(session, actor.user)
        # Nobody is told of what ended before they first came.
        seen = newest if known is None else known
        first = max(state.setdefault(_START, seen), seen - _OVERLAP)
        found = endings.since(session, actor.user, first) if newest > seen else []
    told: set[str] = state.setdefault(_TOLD, set())
    found = [each for each in found if each.job not in told]
    told.update(each.job for each in found)
    state[_SEEN] = newest
    if found or known is None:
        with db.writing() as session:
            endings.tell(session, newest, actor=actor)
    return found


def _one(words: Words, each: Ending) -> None:
    compared = each.kind == "evaluate" and each.state == JobState.SUCCEEDED
    label = words("job.made.compare" if compared else "submit.open")
    page = f"compare?{urlencode({'name': each.name})}" if compared else f"job?id={each.job}"
    text = words(f"toast.{each.state}", name=parts.plain(each.name))
    st.toast(f"{text} [{label}]({page})", icon=ICONS[each.state], duration=LASTS)


def _several(words: Words, found: list[Ending]) -> None:
    counts = Counter(each.state for each in found)
    ends = ", ".join(f"{words.code('state', state)} {count}" for state, count in counts.items())
    text = words("toast.many", count=len(found), ends=ends)
    page = f"./?{urlencode({'user': parts.user()})}"
    st.toast(f"{text} [{words('toast.jobs')}]({page})", icon=":material/done_all:", duration=LASTS)
