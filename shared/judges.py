"""Judges of a comparison: which pairs one is asked about, its votes, and how far to trust them."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from sqlmodel import Session, col, delete, select

from shared import results, votes
from shared.clock import db_now
from shared.errors import Language, NothingToJudge
from shared.intervals import wilson
from shared.orders import DataFile
from shared.specs import JudgeSpec
from shared.storage import Store, file_sha256
from shared.tables import Comparison, ItemResult, Job, Vote
from shared.taken_names import LIVE
from shared.verdicts import Asked, Verdict, write_rows
from shared.winrates import WinRates, win_rates

#: Above this share of contradictions a judge is called inconsistent.
MOST_FLIPS = 0.25


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of `n` with Wilson's 95 % interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one judge says of a comparison; a pair it contradicts itself on is a tie."""

    judge: str
    rates: WinRates
    pairs: int
    #: Pairs whose verdict changed when the answers traded places.
    flips: Share
    #: Of all askings, how often the answer in the first place was preferred; without bias, half.
    first_place: Share
    #: Of people's decided votes on pairs it decided, how many it shares; None without any.
    agreement: Share | None

    @property
    def consistent(self) -> bool:
        return self.flips.value <= MOST_FLIPS

    def sentences(self, language: Language) -> list[str]:
        """How far to trust it, for a reader."""
        found = [_ORDERS[language].format(
            pairs=self.pairs, flips=_percent(self.flips), first=_percent(self.first_place)
        )]  # fmt: skip
        if not self.consistent:
            found.append(_INCONSISTENT[language].format(most=f"{MOST_FLIPS:.0%}"))
        if self.agreement is not None:
            found.append(_AGREES[language].format(
                share=_percent(self.agreement), n=self.agreement.n
            ))  # fmt: skip
        return found


_ORDERS: dict[Language, str] = {
    "en": "{pairs} pairs, each asked in both orders; the verdict changed in {flips} of them when "
    "the answers traded places, which counts as a tie. The answer named first was preferred in "
    "{first} of all askings (50 % without bias).",
    "zh": "共 {pairs} 对，每对按两种顺序各问一次；答案互换位置后结论改变的占 {flips}，计为平局。"
    "排在前面的答案被选中 {first}（无偏应为 50%）。",
}
_INCONSISTENT: dict[Language, str] = {
    "en": "This judge is inconsistent: it contradicts itself in more than {most} of the pairs. Do "
    "not rely on its win rates.",
    "zh": "该裁判自相矛盾的比例超过 {most}：其胜率不足为据。",
}
_AGREES: dict[Language, str] = {
    "en": "It agrees with people in {share} of the {n} votes where both decided.",
    "zh": "与人工投票一致 {share}（双方均有明确结论的 {n} 票）。",
}


def _percent(share: Share) -> str:
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"


def waits_for(session: Session, comparison: str) -> set[str]:
    """The job that will make a comparison, if it is on its way. Raises UnknownComparison where
    it is neither there nor on its way."""
    on_its_way = select(Job.id).where(
        Job.name == comparison, Job.kind == "evaluate", col(Job.state).in_(LIVE)
    )
    if coming := session.exec(on_its_way).first():
        return {coming}
    results.comparison(session, comparison)
    return set()


def asked(session: Session, spec: JudgeSpec) -> list[Asked]:
    """The pairs of a comparison that a judge is asked about, the same each time.

    Items by their hash, so that fewer items are a part of more. Raises UnknownComparison, and
    NothingToJudge where no benchmark has written answers that differ.
    """
    stored = results.comparison(session, spec.comparison)
    languages = _languages(session, stored)
    found: list[Asked] = []
    for each in votes.answers(session, spec.comparison):
        for one, other in combinations(sorted(each.by_arm), 2):
            if spec.against == "baseline" and stored.baseline not in (one, other):
                continue
            mine, theirs = each.by_arm[one], each.by_arm[other]
            differ = [key for key in sorted(mine.keys() & theirs) if mine[key] != theirs[key]]
            found += [
                Asked(
                    benchmark=each.benchmark, item_hash=key, lang=languages.get(key, "en"),
                    question=each.questions.get(key, ""), first=one, second=other,
                    first_text=mine[key], second_text=theirs[key],
                )
                for key in differ[: spec.items]
            ]  # fmt: skip
    if not found:
        raise NothingToJudge(comparison=spec.comparison)
    return found


def _languages(session: Session, stored: Comparison) -> dict[str, str]:
    query = select(ItemResult.item_hash, ItemResult.language).where(
        col(ItemResult.evaluation_id).in_(stored.evaluations)
    )
    return dict(session.exec(query.distinct()).all())


def freeze(session: Session, spec: JudgeSpec, store: Store) -> DataFile:
    """The pairs as a file in the store, for the engine. Raises what `asked` raises."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "asked.jsonl"
        write_rows(path, asked(session, spec))
        digest = file_sha256(path)
        uri = store.put_file(path, f"judging/{digest}.jsonl")
    return DataFile(name=spec.comparison, path=store.open_path(uri), sha256=digest)


def record(session: Session, spec: JudgeSpec, verdicts: Sequence[Verdict]) -> None:
    """Store a judge's verdicts as votes of its own, in place of its earlier ones on these arms."""
    judge = votes.JUDGE + spec.base_model
    arms = {(each.first, each.second) for each in verdicts}
    for first, second in sorted(arms):
        session.execute(
            delete(Vote).where(
                col(Vote.comparison) == spec.comparison, col(Vote.user) == judge,
                col(Vote.first) == first, col(Vote.second) == second,
            )
        )  # fmt: skip
    now = session.scalar(select(db_now())) or 0.0
    session.add_all(
        Vote(
            comparison=spec.comparison, benchmark=each.benchmark, item_hash=each.item_hash,
            first=each.first, second=each.second, outcome=each.outcome,
            margins=list(each.margins), user=judge, created_at=now,
        )
        for each in verdicts
    )  # fmt: skip
    session.flush()


def judged(session: Session, comparison: str) -> list[Judged]:
    """What each judge said of a comparison, by name."""
    by_judge: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes.all_votes(session, comparison):
        if vote.user.startswith(votes.JUDGE):
            by_judge[vote.user.removeprefix(votes.JUDGE)].append(vote)
    people = votes.votes(session, comparison)
    return [_judged(name, cast, people) for name, cast in sorted(by_judge.items())]


def _judged(name: str, cast: Sequence[Vote], people: Iterable[Vote]) -> Judged:
    margins = [vote.margins or [0.0, 0.0] for vote in cast]
    placed = Counter(margin > 0 for pair in margins for margin in pair if margin)
    return Judged(
        judge=name,
        rates=win_rates((vote.first, vote.second, votes.counted(vote)) for vote in cast),
        pairs=len(cast),
        flips=_share(sum(vote.outcome == "tie" for vote in cast), len(cast)),
        first_place=_share(placed[True], placed.total()),
        agreement=_agreement(cast, people),
    )


def _agreement(cast: Sequence[Vote], people: Iterable[Vote]) -> Share | None:
    said = {_pair(vote): winner for vote in cast if (winner := _winner(vote))}
    same = [
        said[_pair(vote)] == winner
        for vote in people
        if (winner := _winner(vote)) and _pair(vote) in said
    ]
    return _share(sum(same), len(same)) if same else None


def _pair(vote: Vote) -> tuple[str, str, frozenset[str]]:
    return vote.benchmark, vote.item_hash, frozenset((vote.first, vote.second))


def _winner(vote: Vote) -> str | None:
    return {"first": vote.first, "second": vote.second}.get(vote.outcome)


def _share(count: int, n: int) -> Share:
    value = count / n if n else float("nan")
    low, high = wilson(value, n) if n else (float("nan"), float("nan"))
    return Share(value=value, low=low, high=high, n=n)
