"""`graft compare NAME --votes`: who is preferred to whom, by people and by each judge."""

from dataclasses import asdict
from typing import Any

from shared import db, judges, results, votes
from shared.cli.output import emit, table
from shared.language import language, say
from shared.winrates import WinRates


def show_votes(comparison: str) -> None:
    """Print the strengths and win rates of a comparison. Raises UnknownComparison."""
    with db.reading() as session:
        results.comparison(session, comparison)
        people = votes.rates(session, comparison)
        found = judges.judged(session, comparison)
    told: list[str] = []
    for title, rates, notes in (
        (say("people", "人工"), people, []),
        *((f"{votes.JUDGE}{each.judge}", each.rates, each.sentences(language())) for each in found),
    ):
        told += [title, _written(rates), *notes, ""]
    emit(
        {"people": _as_json(people), "judges": [_judge(each) for each in found]},
        "\n".join(told).rstrip(),
    )


def _written(rates: WinRates) -> str:
    if not rates.pairs:
        return say("no votes", "没有投票")
    strength = {each.arm: each.value for each in rates.strengths}
    rows = [
        (
            one, other, f"{rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}]",
            f"{rate.wins}:{rate.losses}:{rate.ties}",
        )
        for (one, other), rate in rates.pairs.items()
        if (strength[one], other) > (strength[other], one)
    ]  # fmt: skip
    return table(
        say("arm other preferred won:lost:tied", "一方 另一方 胜率 胜:负:平").split(), rows
    )


def _judge(each: judges.Judged) -> dict[str, Any]:
    told = asdict(each) | {"consistent": each.consistent}
    return told | {"rates": _as_json(each.rates)}


def _as_json(rates: WinRates) -> dict[str, Any]:
    pairs = [{"arm": one, "other": other} | asdict(r) for (one, other), r in rates.pairs.items()]
    return {"strengths": [asdict(each) for each in rates.strengths], "pairs": pairs}
