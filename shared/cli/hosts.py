"""`graft hosts`, `top`, `drain`, `undrain`: the machines of the pool and what runs on them."""

from typing import Any

import click
from sqlmodel import col, select

from shared import db
from shared import hosts as host_service
from shared.cli.each import do_each
from shared.cli.output import duration, emit, note, table
from shared.cli.parts import Command
from shared.cli.session import now, require_database
from shared.errors import explain
from shared.hosts import Busy, standing
from shared.language import language, say
from shared.people.actors import local_actor
from shared.phases import phase_words
from shared.tables import Host

_STATES = {"away": "失联", "up": "在线", "draining": "排空中", "in trouble": "有故障"}


def _look() -> tuple[list[Host], dict[str, list[Busy]], float]:
    require_database()
    with db.reading() as session:
        found = list(session.exec(select(Host).order_by(col(Host.name))).all())
        return found, host_service.busy(session), now(session)


@click.command(cls=Command, help=say("List the machines of the pool.", "列出资源池中的主机。"))
def hosts() -> None:
    found, running, at = _look()
    rows = []
    data = []
    for host in found:
        state = standing(host, at)
        on_it = running.get(host.name, [])
        taken = len({card for each in on_it for card in each.attempt.cards})
        shown = say(state, _STATES[state])
        silent = duration(at - host.heartbeat_at)
        rows.append((host.name, host.device, f"{taken}/{host.slots}", len(on_it), shown, silent))
        data.append(host.model_dump(mode="json") | {"state": state, "running": len(on_it)})
        if host.trouble:
            note(f"{host.name}: {explain(host.trouble, language())}")
    headings = say("name device cards jobs state heard", "名称 设备 卡 任务 状态 最近心跳")
    emit(data, table(headings.split(), rows))


@click.command(
    cls=Command,
    help=say("What runs where, card by card, and who waits.", "逐卡显示正在运行的任务与排队情况。"),
)
def top() -> None:
    found, running, at = _look()
    rows: list[tuple[Any, ...]] = []
    data: list[dict[str, Any]] = []
    for host in found:
        for card, memory in enumerate(host.cards):
            on_it = [each for each in running.get(host.name, []) if card in each.attempt.cards]
            for each in on_it or [None]:
                rows.append(_row(host, card, memory, each, at))
                data.append(_data(host, card, memory, each))
    with db.reading() as session:
        waiting = host_service.queued_by_user(session)
    headings = say(
        "host card memory job user kind name for phase",
        "主机 卡 显存 任务 用户 类型 名称 已运行 阶段",
    )
    lines = [table(headings.split(), rows)]
    lines += [say(f"{user}: {count} queued", f"{user}：{count} 个排队") for user, count in waiting]
    emit({"cards": data, "queued": dict(waiting)}, "\n".join(lines))


def _row(host: Host, card: int, memory: int, each: Busy | None, at: float) -> tuple[Any, ...]:
    if each is None:
        return (host.name, card, f"{memory} MiB", "–", "", "", "", "", "")
    job, attempt = each.job, each.attempt
    held = f"{job.vram_mb or memory}/{memory} MiB"
    running_for = duration(at - attempt.started_at)
    phase = phase_words(attempt.phase)[language()]
    if (idle := host_service.idle_seconds(host, job.id)) is not None:
        phase += say(f", idle for {duration(idle)}", f"，已闲置 {duration(idle)}")
    return (
        host.name, card, held, job.id, job.user, job.kind, job.name, running_for, phase,
    )  # fmt: skip


def _data(host: Host, card: int, memory: int, each: Busy | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"host": host.name, "card": card, "memory_mb": memory, "job": None}
    if each is not None:
        shown |= {"job": each.job.id, "user": each.job.user, "phase": each.attempt.phase}
        shown["idle_seconds"] = host_service.idle_seconds(host, each.job.id)
    return shown


@click.command(
    cls=Command,
    help=say(
        "Let hosts finish what they run and take nothing new.", "让主机完成当前任务且不再接新任务。"
    ),
)
@click.argument("host", nargs=-1, required=True)
def drain(host: tuple[str, ...]) -> int:
    return _set(host, accepting=False)


@click.command(cls=Command, help=say("Let hosts take jobs again.", "让主机重新接受任务。"))
@click.argument("host", nargs=-1, required=True)
def undrain(host: tuple[str, ...]) -> int:
    return _set(host, accepting=True)


def _set(names: tuple[str, ...], *, accepting: bool) -> int:
    require_database()

    def change(name: str) -> str:
        with db.writing() as session:
            host_service.drain(session, name, accepting=accepting, actor=local_actor())
        if accepting:
            note(say(f"{name}: takes jobs again", f"{name}：重新接受任务"))
        else:
            note(say(f"{name}: takes nothing new", f"{name}：不再接新任务"))
        return name

    changed = do_each(names, change)
    emit(changed.done + changed.refused, "\n".join(changed.done))
    return changed.code
