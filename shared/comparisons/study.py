"""A comparison read as a study: what each arm recovered of the native gain, beside controls."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.recovery import Gain, recovered
from shared.specs import EvaluationSpec
from shared.specs.evaluation import OWN_WORDS
from shared.statistics import Difference, Sample, compare

#: Arms of one name but for this are one arm over several seeds.
_SEED = re.compile(r"-seed\d+$")


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """One arm on one benchmark."""

    arm: str
    #: native, control or arm.
    role: str
    gain: Gain
    #: Items right for the base and wrong for the arm (for other metrics: worse), mean over seeds.
    broken: float
    items: int


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """An arm's change on a benchmark that it was not made for; of its first seed."""

    arm: str
    difference: Difference


@dataclass(frozen=True, kw_only=True)
class Study:
    """Rows by benchmark the donor is good at, and what was forgotten on the others."""

    gains: dict[str, list[StudyRow]]
    forgotten: dict[str, list[Forgotten]]
    #: Arms that were asked for and could not be made.
    absent: list[str]


def study_of(
    spec: EvaluationSpec, samples: Mapping[str, Mapping[str, Sample]], base: str
) -> Study | None:
    """The study of an evaluation that names native arms; None for any other.

    samples[benchmark][arm]: the items under the benchmark's primary metric. `base`: the arm that
    is the base itself.
    """
    if not spec.native:
        return None
    gains: dict[str, list[StudyRow]] = {}
    forgotten: dict[str, list[Forgotten]] = {}
    for benchmark, arms in samples.items():
        if base not in arms:
            continue
        if benchmark in (*spec.off_task, OWN_WORDS):
            forgotten[benchmark] = _forgotten(arms, base)
        elif any(name in arms for name in spec.native):
            gains[benchmark] = _gains(spec, arms, base)
    there = {name for arms in samples.values() for name in arms}
    return Study(
        gains=gains, forgotten=forgotten,
        absent=[name for name in spec.adapters if name not in there],
    )  # fmt: skip


def _gains(spec: EvaluationSpec, arms: Mapping[str, Sample], base: str) -> list[StudyRow]:
    floor = arms[base]
    roles: dict[str, str] = {}
    seeds: dict[str, list[Sample]] = {}
    for name in spec.adapters:
        if name in arms:
            family = _SEED.sub("", name)
            seeds.setdefault(family, []).append(arms[name])
            roles[family] = (
                "native" if name in spec.native else "control" if name in spec.controls else "arm"
            )
    native = [
        sample for name, found in seeds.items() if roles[name] == "native" for sample in found
    ]
    others = {name: found for name, found in seeds.items() if roles[name] != "native"}
    controls = {name: others[name] for name in others if roles[name] == "control"}
    rest = {name: others[name] for name in others if roles[name] == "arm"}
    made = recovered(floor, native, rest, controls)
    return [
        StudyRow(
            arm=name, role=roles[name], gain=gain, items=floor.n,
            broken=_broken(floor, others[name]),
        )
        for name, gain in sorted(made.items(), key=lambda each: roles[each[0]] == "control")
    ]  # fmt: skip


def _broken(floor: Sample, seeds: Sequence[Sample]) -> float:
    return sum(compare(floor, each, draws=1).broken for each in seeds) / len(seeds)


def _forgotten(arms: Mapping[str, Sample], base: str) -> list[Forgotten]:
    firsts: dict[str, Sample] = {}
    for name, sample in arms.items():
        if name != base:
            firsts.setdefault(_SEED.sub("", name), sample)
    return [
        Forgotten(arm=name, difference=compare(arms[base], sample))
        for name, sample in firsts.items()
    ]
