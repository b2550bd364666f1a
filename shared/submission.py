"""Looking at a spec before it may queue: every name resolved, every knowable mistake refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from sqlmodel import Session

from shared import base_models, datasets, judges, knowledge
from shared.donors import Donor, donor, require_lora
from shared.errors import (
    InvalidSpec,
    RankTooLarge,
    WrongBase,
    WrongCount,
    both,
)
from shared.formats.mixing import parse_parts
from shared.specs import (
    TRANSFERS,
    AnySpec,
    ChatSpec,
    EvaluationSpec,
    FusionSpec,
    JudgeSpec,
    Texts,
    TrainingSpec,
)  # fmt: skip
from shared.specs.base import LoraParameters
from shared.specs.evaluation import OWN_WORDS
from shared.specs.fusion.learned import FromExamples
from shared.specs.fusion.same_base import VLLM_RANKS, SameBase, Weighted
from shared.tables import ModelRef
from shared.taken_names import check_free
from shared.templates import check_source


@dataclass(frozen=True)
class Admission:
    """A spec that may queue, and the jobs it has to wait for."""

    needs: set[str] = field(default_factory=set)
    #: Adapters it names that are whole models, for the prediction of its memory.
    models: int = 0


def admit_all(session: Session, specs: Sequence[AnySpec]) -> list[Admission]:
    """Check specs that are submitted together against the database and each other.

    Raises the UserError that names what is wrong: an unknown base, dataset or adapter, a taken
    name, a rank above the base's width, an adapter of another base, a wrong number of weights.
    """
    check_free(session, specs)
    seen: dict[Any, Admission] = {}
    found = []
    for spec in specs:
        # What is refused depends on this much: a grid's thousand points are looked at once.
        key = _looked_at(spec)
        if key not in seen:
            seen[key] = _admit(session, spec)
        found.append(seen[key])
    return found


#: What of a training `_admit` depends on.
_OF_TRAINING = attrgetter(
    "base_model", "dataset", "languages", "template", "template_text", "tuning", "rank"
)


def _looked_at(spec: AnySpec) -> Any:
    """What of a spec `_admit` depends on."""
    if isinstance(spec, TrainingSpec):
        return _OF_TRAINING(spec)
    return spec.model_dump_json(exclude={"name"})


def admit(session: Session, spec: AnySpec) -> Admission:
    """`admit_all` of one spec."""
    return admit_all(session, [spec])[0]


def _admit(session: Session, spec: AnySpec) -> Admission:
    if isinstance(spec, TrainingSpec):
        base = base_models.find(session, spec.base_model)
        for part in parse_parts(spec.dataset, "dataset"):
            datasets.find(session, part.name, "training")
        if spec.languages:
            parse_parts(spec.languages, "languages")
        _check_template(spec)
        if spec.tuning not in ("prefix", "full"):
            check_rank(base, spec.rank)
        return Admission()
    if isinstance(spec, FusionSpec):
        return _admit_fusion(session, spec)
    if isinstance(spec, ChatSpec):
        return _admit_chat(session, spec)
    if isinstance(spec, JudgeSpec):
        return _admit_judge(session, spec)
    return _admit_evaluation(session, spec)


def _admit_chat(session: Session, spec: ChatSpec) -> Admission:
    base_models.find(session, spec.base_model)
    _refuse_twice("adapters", spec.adapters)
    if spec.knowledge:
        knowledge.resolve(session, spec.knowledge)
    donors = [donor(session, name) for name in spec.adapters]
    _check_base(session, donors, spec.base_model)
    return _needs(donors)


def _admit_judge(session: Session, spec: JudgeSpec) -> Admission:
    base_models.find(session, spec.base_model)
    return Admission(needs=judges.waits_for(session, spec.comparison))


def _refuse_twice(field_name: str, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        names_twice = ", ".join(twice)
        problem = both(f"{names_twice} is listed twice", f"{names_twice} 重复出现")
        raise InvalidSpec(field=field_name, problem=problem)


def _check_template(spec: TrainingSpec) -> None:
    """Raises InvalidSpec for a custom template without a text, or one that cannot be used."""
    if (spec.template == "custom") != bool(spec.template_text):
        problem = "custom needs a template_text, and only custom takes one"
        raise InvalidSpec(field="template_text", problem=problem)
    if spec.template_text:
        check_source(spec.template_text)


def check_rank(base: ModelRef, rank: int) -> None:
    """Raises RankTooLarge when a LoRA of this rank is larger than what it adapts."""
    if base.narrowest and rank > base.narrowest:
        raise RankTooLarge(rank=rank, base=base.name, width=base.narrowest)


def _admit_fusion(session: Session, spec: FusionSpec) -> Admission:
    donors = [donor(session, name) for name in spec.adapters]
    require_lora(donors)
    method = spec.params.method
    if isinstance(spec.params, TRANSFERS):
        if len(donors) != 1:
            raise WrongCount(
                method=method, wanted=both("one adapter", "一个适配器"), given=len(donors)
            )
        if not spec.host_base:
            raise InvalidSpec(
                field="host_base",
                problem=both(f"{method} needs a host base", f"{method} 需要目标底座"),
            )
        host = base_models.find(session, spec.host_base)
        if isinstance(spec.params, Texts):
            datasets.find(session, spec.params.dataset, "training")
        if isinstance(spec.params, LoraParameters):
            check_rank(host, spec.params.rank)
        return _needs(donors)
    if isinstance(spec.params, SameBase):
        _check_same_base(spec.params, spec.adapters)
    if isinstance(spec.params, FromExamples):
        datasets.find(session, spec.params.dataset, "training")
    wanted = spec.host_base or donors[0].base
    _check_base(session, donors, wanted)
    return _needs(donors)


def _check_same_base(params: SameBase, donors: list[str]) -> None:
    """Raises WrongCount for the weights, InvalidSpec for a rank or saved_from that cannot be."""
    weights = params.weights if isinstance(params, Weighted) else []
    if len(weights) not in (0, len(donors)):
        raise WrongCount(
            method=params.method,
            wanted=both(f"{len(donors)} weights", f"{len(donors)} 个权重"),
            given=len(weights),
        )
    if params.profile == "vllm" and params.rank not in (0, *VLLM_RANKS):
        allowed = ", ".join(map(str, VLLM_RANKS))
        problem = both(
            f"the vllm profile allows {allowed} (given: {params.rank})",
            f"vllm 格式只允许 {allowed}（给出的是 {params.rank}）",
        )
        raise InvalidSpec(field="rank", problem=problem)
    if params.saved_modules == "pick" and params.saved_from not in donors:
        problem = both(
            f"pick needs one of the adapters (given: {params.saved_from!r})",
            f"pick 需要指明其中一个适配器（给出的是 {params.saved_from!r}）",
        )
        raise InvalidSpec(field="saved_from", problem=problem)


def _admit_evaluation(session: Session, spec: EvaluationSpec) -> Admission:
    base_models.find(session, spec.base_model)
    for name in spec.benchmarks:
        datasets.find(session, name, "benchmark")
    _refuse_twice("adapters", spec.adapters)
    _refuse_twice("benchmarks", spec.benchmarks)
    if spec.forgetting and OWN_WORDS in spec.benchmarks:
        problem = both(f"{OWN_WORDS} is a benchmark already", f"{OWN_WORDS} 已是评测集")
        raise InvalidSpec(field="forgetting", problem=problem)
    if spec.knowledge:
        knowledge.resolve(session, spec.knowledge)
    if spec.baseline not in spec.arms():
        arms = ", ".join(spec.arms())
        problem = both(
            f"{spec.baseline} is none of the arms: {arms}",
            f"{spec.baseline} 不是参评方之一：{arms}",
        )
        raise InvalidSpec(field="baseline", problem=problem)
    for field_name, names, known in (
        ("native", spec.native, spec.adapters),
        ("controls", spec.controls, spec.adapters),
        ("off_task", spec.off_task, spec.benchmarks),
    ):
        if strange := sorted(set(names) - set(known)):
            whole = "benchmarks" if field_name == "off_task" else "adapters"
            problem = f"{', '.join(strange)} is none of the {whole}"
            raise InvalidSpec(field=field_name, problem=problem)
    donors = [donor(session, name) for name in spec.adapters]
    _check_base(session, donors, spec.base_model)
    return _needs(donors)


def settled(session: Session, spec: AnySpec) -> AnySpec:
    """The spec with what would change while it waits named for good: a knowledge base's revision.

    Raises what `shared.knowledge.resolve` raises.
    """
    if not isinstance(spec, EvaluationSpec | ChatSpec) or not spec.knowledge:
        return spec
    if "@" not in spec.knowledge:
        knowledge.retire_due(session, spec.knowledge)
    name, revision = knowledge.resolve(session, spec.knowledge)
    return spec.model_copy(update={"knowledge": f"{name}@{revision}"})


def _needs(donors: list[Donor]) -> Admission:
    return Admission(
        needs={found.job for found in donors if found.job is not None},
        models=sum(found.tuning == "full" for found in donors),
    )


def _check_base(session: Session, donors: list[Donor], wanted: str) -> None:
    fingerprint = base_models.find(session, wanted).fingerprint
    for found in donors:
        if base_models.find(session, found.base).fingerprint != fingerprint:
            raise WrongBase(adapter=found.name, trained_on=found.base, wanted=wanted)
