"""Times, lengths and sizes as people read them, in the visitor's language and time zone."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from dashboard.language import Words

_UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def ago(at: float | None, now: float, words: Words) -> str:
    """How long before `now` (both seconds since 1970): `3 min ago`; a dash for no time."""
    if not at:
        return "–"
    past = max(0.0, now - at)
    if past < 5:
        return words("time.now")
    return words("time.ago", length=length(past, words))


def length(seconds: float | None, words: Words) -> str:
    """A length of time in its largest unit, in two from hours on: `7 s`, `2 h 10 min`."""
    if seconds is None:
        return "–"
    whole = max(0, round(seconds))
    for place, (size, unit) in enumerate(_UNITS):
        if whole >= size:
            first = words(f"time.{unit}", count=whole // size)
            rest = whole % size
            smaller, name = _UNITS[min(place + 1, 3)]
            if place < 2 and rest >= smaller:
                return f"{first} {words(f'time.{name}', count=rest // smaller)}"
            return first
    return words("time.seconds", count=0)


def clock(at: float | None) -> str:
    """A time to the second in the visitor's zone."""
    if not at:
        return "–"
    return datetime.fromtimestamp(at, UTC).astimezone(_zone()).strftime("%Y-%m-%d %H:%M:%S")


def offset() -> float:
    """Seconds that the visitor's clock is ahead of UTC now."""
    ahead = datetime.now(_zone()).utcoffset()
    return ahead.total_seconds() if ahead is not None else 0.0


def _zone() -> tzinfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def size(count: float) -> str:
    """Bytes in the unit that fits: `2.0 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def amount(count: int) -> str:
    """A large count with its thousands apart: `1,234,567`."""
    return f"{count:,}"
