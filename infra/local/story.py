"""The main job as specs: two donors, a native, a fusion, a copy, a transfer and two comparisons."""

from dataclasses import dataclass, field
from typing import Any

from shared.specs import AnySpec, parse_spec


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Registered names of what the story is played with, and how much work it is worth."""

    donor_base: str
    host_base: str
    #: Training rows of the two donors, and of the native (both languages).
    english: str
    chinese: str
    both: str
    #: What the donor is asked in the transfer; its answers become the new training rows.
    prompts: str
    benchmarks: list[str]
    training: dict[str, Any] = field(default_factory=dict)
    #: What of the training is different for the native, which sees the rows of both donors.
    native: dict[str, Any] = field(default_factory=dict)
    fusion: dict[str, Any] = field(default_factory=dict)
    refresh: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One job of the story."""

    role: str
    spec: AnySpec
    #: The error code it must fail with; empty when it must succeed.
    fails_with: str = ""

    @property
    def name(self) -> str:
        return self.spec.name


def story(cast: Cast, run: str, known: dict[str, str] | None = None) -> list[Step]:
    """The jobs in the order of submission; `run` ends their names.

    `known` names, by role, adapters that are there already: their steps are left out.
    """
    known = known or {}
    names = {role: f"{role}-{run}" for role in ("donor-en", "donor-zh", "native", "fused", "copy",
             "transfer", "compare-donor", "compare-host")} | known  # fmt: skip
    host, donor = cast.host_base, cast.donor_base
    steps = [
        _train("donor-en", names, donor, cast.english, cast.training),
        _train("donor-zh", names, donor, cast.chinese, cast.training),
        _train("native", names, host, cast.both, cast.training | cast.native),
        _fuse("fused", names, [names["donor-en"], names["donor-zh"]], "", weighted(cast)),
        _fuse("copy", names, [names["fused"]], host, {"method": "copy"}, "no-op"),
        _fuse("transfer", names, [names["fused"]], host, refreshed(cast)),
        _evaluate("compare-donor", names, donor, ["donor-en", "donor-zh", "fused"], cast),
        _evaluate("compare-host", names, host, ["native", "transfer"], cast),
    ]
    return [step for step in steps if step.role not in known]


def weighted(cast: Cast) -> dict[str, Any]:
    """Parameters of the same-base fusion."""
    return {"method": "weighted_sum"} | cast.fusion


def refreshed(cast: Cast) -> dict[str, Any]:
    """Parameters of the transfer."""
    return {"method": "refresh", "dataset": cast.prompts} | cast.training | cast.refresh


def _train(
    role: str, names: dict[str, str], base: str, dataset: str, parameters: dict[str, Any]
) -> Step:
    data = {"kind": "train", "name": names[role], "base_model": base, "dataset": dataset}
    return Step(role, parse_spec(data | parameters))


def _fuse(
    role: str,
    names: dict[str, str],
    adapters: list[str],
    host_base: str,
    params: dict[str, Any],
    fails_with: str = "",
) -> Step:
    data = {
        "kind": "fuse",
        "name": names[role],
        "adapters": adapters,
        "host_base": host_base,
        "params": params,
    }
    return Step(role, parse_spec(data), fails_with)


def _evaluate(role: str, names: dict[str, str], base: str, arms: list[str], cast: Cast) -> Step:
    data = {
        "kind": "evaluate",
        "name": names[role],
        "base_model": base,
        "adapters": [names[arm] for arm in arms],
        "benchmarks": cast.benchmarks,
    }
    return Step(role, parse_spec(data | cast.evaluation))
