"""Before a job is submitted: the command that asks for it, and what it would get from the pool."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import moments, parts
from dashboard.language import Words
from dashboard.sweep_fields import Grid
from shared import db
from shared.config import settings
from shared.plans import Card, GridPlan, Plan, plan, plan_grid
from shared.queueing import Request
from shared.specs.command_line import command_line
from shared.sweeps import points


def command(words: Words, values: Mapping[str, Any], grid: Grid, gpus: int) -> None:
    """The same jobs as a command, with a button that copies it."""
    st.caption(words("plan.command"))
    st.code(command_line(values, grid, gpus), language=None, wrap_lines=True)


def show(words: Words, values: Mapping[str, Any], grid: Grid, gpus: int) -> None:
    """What submitting the form now would get; nothing is queued. Errors stand where it would."""
    with parts.guard(words):
        request = Request(actor=parts.actor(), project=settings().project, gpus=gpus)
        specs = points(values, grid)
        with db.reading() as session:
            if len(specs) > 1:
                _draw_grid(words, plan_grid(session, specs, request))
                return
            [found] = plan(session, specs, request)
        _draw(words, found)


def _draw_grid(words: Words, found: GridPlan) -> None:
    first, unknown = found.first, words("plan.unknown")
    cards = f"{first.gpus} × "
    sizes = [moments.size(mb * 2**20) for mb in sorted({found.least_mb, found.most_mb})]
    memory = cards + " – ".join(sizes) if found.least_mb else _whole(words, first.gpus)
    places = [parts.ordinal(place, words) for place in (first.place, found.last_place) if place]
    starts = [_length(each, words) for each in (first.starts_in, found.last_starts_in)]
    with st.container(border=True, key="submit.plan.shown"):
        parts.facts(
            [
                (words("plan.jobs"), f"{found.jobs:,}"),
                (words("plan.memory"), memory),
                (words("plan.places"), " – ".join(dict.fromkeys(places))),
                (words("plan.starts.first"), starts[0] or unknown),
                (words("plan.starts.last"), starts[1] or unknown),
                (words("plan.together"), _length(found.gpu_seconds, words) or unknown),
                (words("plan.cards.largest"), fitting(found.cards, words)),
            ]
        )
        st.caption(parts.plain(first.why.text(words.language)))


def _draw(words: Words, found: Plan) -> None:
    memory = _whole(words, found.gpus)
    if found.vram_mb:
        memory = f"{found.gpus} × {moments.size(found.vram_mb * 2**20)}"
    unknown = words("plan.unknown")
    place = "–" if found.place is None else parts.ordinal(found.place, words)
    with st.container(border=True, key="submit.plan.shown"):
        parts.facts(
            [
                (words("plan.memory"), memory),
                (words("plan.place"), place),
                (words("plan.starts"), _length(found.starts_in, words) or unknown),
                (words("plan.lasts"), _length(found.seconds, words) or unknown),
                (words("plan.cards"), fitting(found.cards, words)),
            ]
        )
        st.caption(parts.plain(found.why.text(words.language)))


def _whole(words: Words, gpus: int) -> str:
    return words("plan.whole") if gpus == 1 else words("plan.whole.many", count=gpus)


def _length(seconds: float | None, words: Words) -> str:
    return "" if seconds is None else moments.length(seconds, words)


def fitting(cards: list[Card], words: Words) -> str:
    """Each host's cards that could hold the job, once: `gpu-1 (2 of 8 free)`."""
    hosts: dict[str, list[Card]] = {}
    for card in cards:
        hosts.setdefault(card.host, []).append(card)
    shown = [
        words("plan.host", host=host, free=sum(c.free for c in own), cards=len(own))
        for host, own in hosts.items()
    ]
    return ", ".join(shown) or words("plan.none")
