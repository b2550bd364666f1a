"""Before a job is submitted: the command that asks for it, and what it would get from the pool."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import moments, parts
from dashboard.language import Words
from shared import db
from shared.config import settings
from shared.plans import Card, Plan, plan
from shared.queueing import Request
from shared.specs import parse_spec
from shared.specs.command_line import command_line


def command(words: Words, values: Mapping[str, Any]) -> None:
    """The same job as a command, with a button that copies it."""
    st.caption(words("plan.command"))
    st.code(command_line(values), language=None, wrap_lines=True)


def show(words: Words, values: Mapping[str, Any]) -> None:
    """What submitting the form now would get; nothing is queued. Errors stand where it would."""
    with parts.guard(words):
        request = Request(actor=parts.actor(), project=settings().project)
        with db.reading() as session:
            [found] = plan(session, [parse_spec(dict(values))], request)
        _draw(words, found)


def _draw(words: Words, found: Plan) -> None:
    memory = words("plan.whole")
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
