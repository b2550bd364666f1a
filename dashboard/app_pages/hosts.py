"""Hosts: who answers, what each runs, what is free, and who uses it; live."""

from typing import Any

import streamlit as st

from dashboard import language, moments, parts, pool_use, queries
from dashboard.language import Words
from shared import db
from shared import hosts as host_service
from shared.config import settings
from shared.errors import explain
from shared.hosts import Busy
from shared.people.permissions import Action, may
from shared.standings import Standing, standings
from shared.tables import Host, Job


def standing(host: Host, now: float) -> str:
    """alive, drained (takes nothing new), or stale: no heartbeat for a lease's length."""
    if now - host.heartbeat_at > settings().lease_seconds:
        return "stale"
    return "alive" if host.accepting and not host.trouble else "drained"


COLOURS: dict[str, tuple[parts.Colour, str]] = {
    "alive": ("green", ":material/check_circle:"),
    "drained": ("orange", ":material/pause_circle:"),
    "stale": ("red", ":material/heart_broken:"),
}


def devices(words: Words, host: Host) -> str:
    """The GPUs by name, or the CPU with its cores."""
    gpus: list[Any] = host.info.get("gpus") or []
    if gpus:
        return ", ".join(
            str(gpu.get("name", gpu)) if isinstance(gpu, dict) else str(gpu) for gpu in gpus
        )
    cores = host.info.get("cores")
    return words("hosts.cpu", cores=cores) if cores else host.device


def memory(words: Words, host: Host, on_it: list[Busy]) -> list[tuple[str, str]]:
    """What no job has asked for, card by card; a host without GPUs has slots alone."""
    if host.device == "cpu":
        return []
    both = zip(host_service.unreserved(host, on_it), host.cards, strict=True)
    shown = [f"{moments.size(free * 2**20)} / {moments.size(of * 2**20)}" for free, of in both]
    return [(words("hosts.memory"), ", ".join(shown))]


def card(words: Words, host: Host, on_it: list[Busy], now: float) -> None:
    """One host."""
    state = standing(host, now)
    colour, icon = COLOURS[state]
    running = [each.job for each in on_it]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(host.name, anchor=False, width="content")
            st.badge(words(f"hosts.{state}"), color=colour, icon=icon)
        free = max(0, host.slots - len(running)) if state == "alive" else 0
        parts.facts(
            [
                (words("hosts.device"), devices(words, host)),
                (words("hosts.slots"), words("hosts.free", free=free, slots=host.slots)),
                *memory(words, host, on_it),
                (words("hosts.heartbeat"), moments.ago(host.heartbeat_at, now, words)),
                (words("hosts.started"), moments.clock(host.started_at)),
            ]
        )
        for job in running:
            on_host(words, host, job, now)
        if state != "stale":
            draining(words, host)
        if state == "stale":
            st.caption(words("hosts.stale.help"))
        elif host.trouble:
            st.warning(explain(host.trouble, words.language), icon=":material/hard_drive:")


def draining(words: Words, host: Host) -> None:
    """A button that takes the host out or back, for those who may."""
    if not may(parts.actor(), Action.DRAIN_HOST):
        return
    verb, icon = ("drain", "pause") if host.accepting else ("undrain", "play_arrow")
    st.button(
        words(f"hosts.{verb}"), icon=f":material/{icon}:", type="tertiary",
        key=f"hosts.drain.{host.name}", on_click=_drain, args=(host.name, not host.accepting),
        help=words("hosts.drain.help") if host.accepting else None,
    )  # fmt: skip


def _drain(name: str, accepting: bool) -> None:
    with db.writing() as session:
        host_service.drain(session, name, accepting=accepting, actor=parts.actor())


def on_host(words: Words, host: Host, job: Job, now: float) -> None:
    """A job that runs there, and whether it lets its cards stand still."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            "app_pages/job.py",
            label=job.name,
            icon=":material/play_arrow:",
            query_params={"id": job.id},
        )
        took = moments.length(now - (job.started_at or now), words)
        st.caption(f"{words.code('kind', job.kind)} · {job.user} · {took}", width="content")
        if (idle := host_service.idle_seconds(host, job.id)) is not None:
            st.badge(
                words("hosts.idle", length=moments.length(idle, words)),
                color="orange", icon=":material/bedtime:", help=words("hosts.idle.help"),
            )  # fmt: skip


def summary(words: Words, hosts: list[Host], running: dict[str, list[Busy]], now: float) -> None:
    """The pool in four numbers: cards in use, cards idle but held, hosts, jobs that wait."""
    alive = [host for host in hosts if standing(host, now) != "stale"]
    held = [(host, each) for host in alive for each in running.get(host.name, [])]
    cards = {(host.name, card) for host, each in held for card in each.attempt.cards}
    idle = {
        (host.name, card)
        for host, each in held
        if host_service.idle_seconds(host, each.job.id) is not None
        for card in each.attempt.cards
    }
    with db.reading() as session:
        waiting = host_service.queued_by_user(session)
    whole = sum(len(host.cards) for host in alive)
    numbers = {
        "cards": words("hosts.sum.of", count=len(cards), whole=whole),
        "idle": str(len(idle)),
        "hosts": words("hosts.sum.of", count=len(alive), whole=len(hosts)),
        "queued": str(sum(count for _, count in waiting)),
    }
    with st.grid(min_column_width=150, gap="small"):
        for name, value in numbers.items():
            help = words("hosts.idle.help") if name == "idle" else None
            st.metric(words(f"hosts.sum.{name}"), value, border=True, help=help)


@st.fragment(run_every=5)
def board(words: Words) -> None:
    """Every host, the live part."""
    with parts.guard(words):
        with db.reading() as session:
            hosts, running, now = (
                queries.hosts(session),
                host_service.busy(session),
                queries.now(session),
            )
        if not hosts:
            parts.empty(words("hosts.empty"))
            st.code("graft worker", language=None)
            return
        summary(words, hosts, running, now)
        with st.grid(min_column_width=420):
            for host in sorted(hosts, key=lambda each: standing(each, now) == "stale"):
                card(words, host, running.get(host.name, []), now)


@st.fragment(run_every=30)
def people(words: Words) -> None:
    """Who waits, who runs, what everybody used, and who goes first."""
    with parts.guard(words):
        with db.reading() as session:
            found = standings(session)
        if not found:
            return
        st.subheader(words("hosts.people"), anchor=False)
        st.caption(words("hosts.people.lead"))
        st.dataframe(
            [{name: getattr(each, name) for name in COLUMNS} for each in found],
            hide_index=True,
            height="content" if len(found) <= 16 else 400,
            column_config=_columns(words, found),
            key="hosts.people",
            alt=words("hosts.people"),
        )


COLUMNS = ("place", "user", "project", "queued", "running", "gpu_hours", "counted")


def _columns(words: Words, found: list[Standing]) -> dict[str, Any]:
    """Titles, and bars where people's numbers are compared."""
    columns: dict[str, Any] = {name: words(f"hosts.people.{name}") for name in COLUMNS}
    bars = {"queued": "%d", "gpu_hours": "%.2f", "counted": "%.2f"}
    for name, format in bars.items():
        most = max(getattr(each, name) for each in found)
        columns[name] = st.column_config.ProgressColumn(
            columns[name], format=format, min_value=0, max_value=most or 1
        )
    return columns


def main() -> None:
    """Draw the page."""
    words = language.words()
    parts.header(words("hosts.title"), lead=words("hosts.lead"))
    board(words)
    people(words)
    pool_use.use(words)


main()
