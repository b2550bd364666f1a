"""Judges' votes stay apart from people's, replace themselves, and say how far to trust them."""

from pathlib import Path

import pytest

import filled
from pools import forget, use
from shared import db, jobs, judges, votes
from shared.errors import NothingToJudge, UnknownComparison
from shared.people.actors import Actor
from shared.specs import EvaluationSpec, JudgeSpec
from shared.storage import store
from shared.verdicts import Asked, Verdict, read_asked
from shared.votes import Ballot

SPEC = JudgeSpec(name="j", comparison=filled.COMPARISON, base_model=filled.HOST_BASE)


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A small pool with a comparison of three arms."""
    use(monkeypatch, tmp_path / "home", user=filled.USER)
    filled.fill(tmp_path, items=9, arms=("base", "native", "fused"))
    yield
    forget()


def _asked(**changed: object) -> list[Asked]:
    with db.reading() as session:
        return judges.asked(session, SPEC.model_copy(update=changed))


def _record(pairs: list[Asked], margins: list[tuple[float, float]]) -> None:
    said = [
        Verdict(
            benchmark=pair.benchmark, item_hash=pair.item_hash, first=pair.first,
            second=pair.second, margins=each,
        )
        for pair, each in zip(pairs, margins, strict=True)
    ]  # fmt: skip
    with db.writing() as session:
        judges.record(session, SPEC, said)


def _judged() -> list[judges.Judged]:
    with db.reading() as session:
        return judges.judged(session, filled.COMPARISON)


def test_a_judge_is_asked_about_answers_that_differ(pool: None) -> None:
    against, every = _asked(), _asked(against="all")
    assert {frozenset((each.first, each.second)) for each in against} == {
        frozenset(("base", "native")), frozenset(("base", "fused"))
    }  # fmt: skip
    assert len({frozenset((each.first, each.second)) for each in every}) == 3
    assert all(each.first_text != each.second_text and each.question for each in every)
    assert {each.lang for each in every} <= {"en", "zh"}
    few = _asked(items=1)
    assert few == [each for each in against if each in few]
    assert len(few) < len(against)
    with pytest.raises(UnknownComparison):
        _asked(comparison="none")


def test_a_comparison_without_written_answers_is_refused(
    pool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(votes, "answers", lambda session, name: [])
    with pytest.raises(NothingToJudge, match=filled.COMPARISON):
        _asked()


def test_verdicts_are_votes_of_their_own_and_the_next_ones_replace_them(pool: None) -> None:
    pairs = _asked()
    _record(pairs, [(1.0, -1.0)] * len(pairs))
    _record(pairs, [(-1.0, 1.0)] * len(pairs))
    [found] = _judged()
    assert (found.judge, found.pairs) == (filled.HOST_BASE, len(pairs))
    assert found.flips.value == 0
    assert found.first_place.value == 0.5
    assert found.consistent
    assert found.agreement is None
    assert found.rates.pairs["native", "base"].value in (0.0, 1.0)
    with db.reading() as session:
        assert votes.votes(session, filled.COMPARISON) == []
        assert not votes.rates(session, filled.COMPARISON).pairs
        answers = votes.answers(session, filled.COMPARISON)
        # People are asked everything that a judge was.
        assert votes.next_ballot(session, filled.COMPARISON, answers, "ann") is not None


def test_a_judge_that_follows_the_place_is_called_inconsistent(pool: None) -> None:
    pairs = _asked()
    _record(pairs, [(2.0, 1.0)] * (len(pairs) - 1) + [(2.0, -1.0)])
    [found] = _judged()
    assert found.flips.value == pytest.approx(1 - 1 / len(pairs))
    assert found.first_place.value == pytest.approx(1 - 0.5 / len(pairs))
    assert not found.consistent
    assert "This judge is inconsistent" in " ".join(found.sentences("en"))
    assert "自相矛盾" in " ".join(found.sentences("zh"))


def test_agreement_is_counted_where_both_decided(pool: None) -> None:
    pairs = _asked()[:3]
    _record(pairs, [(1.0, -1.0), (1.0, -1.0), (1.0, 1.0)])
    with db.writing() as session:
        for pair, choice in zip(pairs, ("second", "second", "first"), strict=True):
            # The person saw the judge's second answer first, except for the second pair.
            sides = ((pair.second, ""), (pair.first, ""))
            first, second = sides if pair is not pairs[1] else sides[::-1]
            ballot = Ballot(
                benchmark=pair.benchmark, item_hash=pair.item_hash, question="",
                first=first, second=second,
            )  # fmt: skip
            votes.cast(session, filled.COMPARISON, ballot, choice, actor=Actor.admin("ann"))
    [found] = _judged()
    assert found.agreement is not None
    assert (found.agreement.value, found.agreement.n) == (0.5, 2)
    assert "agrees with people in 50%" in found.sentences("en")[-1]


def test_a_judging_is_queued_and_its_pairs_are_a_file_for_the_engine(pool: None) -> None:
    job = jobs.submit(SPEC, actor=Actor.admin("ann"))
    assert (job.kind, job.base) == ("judge", filled.HOST_BASE)
    with db.reading() as session:
        file = judges.freeze(session, SPEC, store())
    assert read_asked(file.path) == _asked()
    evaluation = EvaluationSpec(name="soon", base_model=filled.HOST_BASE, benchmarks=["capitals"])
    first = jobs.submit(evaluation, actor=Actor.admin("ann"))
    with db.reading() as session:
        assert judges.waits_for(session, "soon") == {first.id}
        assert judges.waits_for(session, filled.COMPARISON) == set()
    with pytest.raises(UnknownComparison):
        jobs.submit(SPEC.model_copy(update={"comparison": "none"}), actor=Actor.admin("ann"))
