"""`graft compare NAME --votes`: who is preferred to whom, by people and by each judge."""

from shared import db, vote_tables, votes
from shared.cli.output import emit, table
from shared.language import language, say
from shared.winrates import WinRates


def show_votes(comparison: str) -> None:
    """Print the strengths and win rates of a comparison. Raises UnknownComparison."""
    with db.reading() as session:
        made = vote_tables.read(session, comparison)
    told: list[str] = []
    for title, rates, notes in (
        (say("people", "人工"), made.people, []),
        *(
            (f"{votes.JUDGE}{each.judge}", each.rates, each.sentences(language()))
            for each in made.judges
        ),
    ):
        told += [title, _written(rates), *notes, ""]
    emit(made.as_dict(), "\n".join(told).rstrip())


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
