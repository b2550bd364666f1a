"""`graft submit … --plan`: what a submission would get; nothing is queued or spent."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from shared import db
from shared.cli.output import duration, emit, table
from shared.language import language, say
from shared.plans import Plan, plan
from shared.queueing import AnySpec, Request


def show_plan(specs: Sequence[AnySpec], request: Request) -> int:
    """Print the plan of each spec. Raises what submitting them would."""
    with db.reading() as session:
        plans = plan(session, specs, request)
    emit([as_data(each) for each in plans], "\n\n".join(_text(each) for each in plans))
    return 0


def as_data(each: Plan) -> dict[str, Any]:
    """A plan as scripts read it."""
    told: dict[str, Any] = {name: value for name, value in asdict(each).items() if name != "why"}
    why = {"reason": each.why.reason, "facts": each.why.facts}
    return told | why | {"message": each.why.text(language())}


def _text(each: Plan) -> str:
    unknown = say("unknown", "未知")
    whole = say(f"{each.gpus} whole card{'s' * (each.gpus != 1)}", f"{each.gpus} 张整卡")
    asks = f"{each.gpus} × {each.vram_mb} MiB" if each.vram_mb else whole
    place = "–" if each.place is None else each.place
    starts = unknown if each.starts_in is None else duration(each.starts_in)
    lasts = unknown if each.seconds is None else duration(each.seconds)
    rows = [
        (say("memory", "显存"), asks),
        (say("place in the queue", "队列位置"), place),
        (say("starts in about", "预计等待"), starts),
        (say("runs for about", "预计用时"), lasts),
        (say("cards that fit", "可用的卡"), _cards(each)),
    ]
    return table((each.name, each.why.text(language())), rows)


def _cards(each: Plan) -> str:
    """Each host's cards once: `gpu-1 (2 of 8 free)`."""
    hosts = dict.fromkeys(card.host for card in each.cards)
    shown = []
    for host in hosts:
        of_host = [card for card in each.cards if card.host == host]
        free = sum(card.free for card in of_host)
        shown.append(
            say(f"{host} ({free} of {len(of_host)} free)", f"{host}（空闲 {free}/{len(of_host)}）")
        )
    return ", ".join(shown) or say("none", "无")
