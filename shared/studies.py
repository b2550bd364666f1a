"""A transfer study as jobs: natives, transfers and controls, then one evaluation of them all."""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from shared.columns import short_id
from shared.errors import InvalidSpec
from shared.queueing import AnySpec, Request, submit_stages
from shared.specs import FUSION_METHODS, EvaluationSpec, parse_spec
from shared.specs.base import LoraParameters
from shared.specs.study import STUDIED, StudySpec
from shared.tables import Job

#: Layers by which the shifted control is off: any number but a multiple of the depth.
_SHIFT = 1


def study_of(data: dict[str, Any]) -> StudySpec:
    """The study that JSON describes. Raises InvalidSpec naming the first wrong field."""
    try:
        return StudySpec.model_validate(data)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidSpec(field=field, problem=first["msg"]) from None


def jobs_of(study: StudySpec) -> tuple[list[AnySpec], EvaluationSpec]:
    """What makes the arms, and the evaluation that judges them.

    Raises InvalidSpec for an unknown method.
    """
    if strange := [method for method in study.methods if method not in STUDIED]:
        problem = f"{', '.join(strange)} moves no adapter; there are {', '.join(STUDIED)}"
        raise InvalidSpec(field="methods", problem=problem)
    suffixes = [f"-seed{seed}" for seed in range(study.seeds)] if study.seeds > 1 else [""]
    native = [f"{study.name}-native{suffix}" for suffix in suffixes]
    specs: list[AnySpec] = []
    for seed, suffix in enumerate(suffixes, start=study.seed):
        specs.append(_native(study, f"{study.name}-native{suffix}", seed, 0))
        if study.labels:
            specs.append(_native(study, f"{study.name}-few{suffix}", seed, study.labels))
    for method in dict.fromkeys(study.methods):
        trains = issubclass(FUSION_METHODS[method], LoraParameters)
        for seed, suffix in enumerate(suffixes if trains else [""], start=study.seed):
            specs.append(_moved(study, f"{study.name}-{method}{suffix}", method, seed))
    controls = _controls(study)
    return [*specs, *controls], _evaluation(study, [*specs, *controls], native, controls)


def submit_study(study: StudySpec, request: Request) -> list[Job]:
    """Queue the whole study in one transaction; the evaluation is the last job.

    Raises what `jobs_of` and submitting raise.
    """
    made, evaluation = jobs_of(study)
    request = replace(request, sweep=short_id())
    return submit_stages([made, [evaluation]], request)


def _learning(study: StudySpec, seed: int) -> dict[str, Any]:
    return study.model_dump(
        exclude={
            "name", "adapter", "host_base", "benchmarks", "off_task", "methods", "labels", "draws",
            "seeds", "max_new_tokens", "other_donors", "other_natives",
        }
    ) | {"seed": seed}  # fmt: skip


def _native(study: StudySpec, name: str, seed: int, rows: int) -> AnySpec:
    data = {"kind": "train", "name": name, "base_model": study.host_base, "rows": rows}
    return parse_spec(data | _learning(study, seed))


def _moved(
    study: StudySpec, name: str, method: str, seed: int, *, donor: str = "", **more: Any
) -> AnySpec:
    """The donor moved by a method, with those of the study's parameters that the method has."""
    fields = FUSION_METHODS[method].model_fields
    asked = _learning(study, seed) | {"max_new_tokens": study.max_new_tokens, "resize": "pad"}
    asked |= more
    params = {key: value for key, value in asked.items() if key in fields}
    return parse_spec(
        {
            "kind": "fuse", "name": name, "adapters": [donor or study.adapter],
            "host_base": study.host_base, "params": params | {"method": method},
        }
    )  # fmt: skip


def _controls(study: StudySpec) -> list[AnySpec]:
    """The naive copy (where it is not tried as a method), a donor of shifted layers, noise; other
    tasks' donors moved likewise, and the mean of other tasks' natives, where some are given.
    """
    name, seed = study.name, study.seed
    found = [
        _moved(study, f"{name}-shifted", "copy", seed, layer_shift=_SHIFT),
        *(
            _moved(study, f"{name}-noise{draw}", "noise", seed + draw)
            for draw in range(1, study.draws + 1)
        ),
    ]
    if "copy" not in study.methods:
        found.insert(0, _moved(study, f"{name}-copied", "copy", seed))
    for number, donor in enumerate(dict.fromkeys(study.other_donors), start=1):
        found += [
            _moved(study, f"{name}-other{number}-{method}", method, seed, donor=donor)
            for method in dict.fromkeys(study.methods)
        ]
    if natives := list(dict.fromkeys(study.other_natives)):
        mean = {"kind": "fuse", "name": f"{name}-mean", "adapters": natives}
        found.append(parse_spec(mean | {"params": {"method": "weighted_sum"}}))
    return found


def _evaluation(
    study: StudySpec, made: list[AnySpec], native: list[str], controls: list[AnySpec]
) -> EvaluationSpec:
    """Arms whose job fails are left out: a transfer that changes nothing is a result too."""
    return EvaluationSpec(
        name=study.name,
        base_model=study.host_base,
        adapters=[spec.name for spec in made],
        benchmarks=[*study.benchmarks, *(b for b in study.off_task if b not in study.benchmarks)],
        native=native,
        controls=[spec.name for spec in controls],
        off_task=study.off_task,
        missing="skip",
        max_new_tokens=study.max_new_tokens,
        precision=study.precision,
    )
