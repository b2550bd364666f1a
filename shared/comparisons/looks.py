"""How often the test half of a comparison's benchmarks had been looked at when it was made."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from shared.errors import Language
from shared.tables import Evaluation


@dataclass(frozen=True, kw_only=True)
class Look:
    """One benchmark of a comparison."""

    benchmark: str
    #: all, dev or test; what was scored before there were halves was scored whole.
    half: str
    #: Evaluations up to this one, itself counted, that scored test items of this very file.
    times: int

    def sentence(self, language: Language) -> str:
        """What a reader should know before believing a difference; empty for a first look."""
        zh = language == "zh"
        if self.half == "dev":
            return (
                f"{self.benchmark}：只用了 dev 一半；test 一半此前已被查看 {self.times} 次。" if zh
                else f"{self.benchmark}: the dev half alone; the test half has been looked at "
                f"{_times(self.times)}."
            )  # fmt: skip
        if self.times < 2:
            return ""
        return (
            f"{self.benchmark}：这是第 {self.times} 次查看其 test 条目；"
            "据以取舍的次数越多，差异越不可信。"
            if zh
            else f"{self.benchmark}: its test items have been looked at {_times(self.times)}, this "
            "one counted; the more choices were made by them, the less a difference proves."
        )


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count:,} times")


def looks(session: Session, found: Sequence[Evaluation]) -> list[Look]:
    """The looks at each benchmark of some evaluations, in their order."""
    made: dict[str, Look] = {}
    until = max((each.created_at for each in found), default=0.0)
    for each in found:
        if each.benchmark in made:
            continue
        same = select(Evaluation.job_id, Evaluation.engine).where(
            Evaluation.benchmark_sha256 == each.benchmark_sha256,
            col(Evaluation.created_at) <= until,
        )
        jobs = {
            job for job, engine in session.exec(same).all() if engine.get("half", "all") != "dev"
        }
        half = str(each.engine.get("half", "all"))
        made[each.benchmark] = Look(benchmark=each.benchmark, half=half, times=len(jobs))
    return list(made.values())
