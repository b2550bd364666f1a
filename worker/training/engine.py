"""The training engine: rows and a base in, an adapter folder that plain PEFT loads out."""

from collections.abc import Sequence
from typing import Any

import torch

from shared.errors import Internal, InvalidSpec, OutOfMemory
from shared.formats import AlpacaRow, Row, content_hash
from shared.orders import WorkOrder
from shared.specs import Teaching, TrainingSpec
from shared.specs.base import LoraParameters, OptimiserParameters
from shared.specs.tuning import ObjectiveParameters, TuningParameters
from shared.templates import fingerprint
from worker.checkpoints import load_base, logit_change, write_facts
from worker.reporting import AdapterResult, Report
from worker.training import loop
from worker.training.adapted import Adapted
from worker.training.adapter import Start, fresh_adapter, publish, put_start, target_modules
from worker.training.aims import Aim, aim
from worker.training.audit import audit, require_known_ids
from worker.training.compiling import compiled
from worker.training.course import Course
from worker.training.data import rows_of, template_of
from worker.training.examples import Encoded, encode
from worker.training.learner import Learner
from worker.training.objectives import Objective, sft
from worker.training.place import Place, place_of
from worker.training.prefix import Prefixed
from worker.training.resuming import Standing

#: Parameters that may differ when a job goes on: they change memory, not the result.
_FREE = {"micro_batch_size"}


def train(order: WorkOrder, report: Report) -> AdapterResult:
    """Run an order whose spec is a TrainingSpec.

    Raises what reading the data, loading the base and `train_adapter` raise.
    """
    spec = order.spec
    if not isinstance(spec, TrainingSpec) or order.dataset is None:
        raise Internal(detail=f"an order to {spec.kind} reached the training engine")
    place = place_of(order)
    report.phase("reading data")
    mixed = rows_of(order, spec, report)
    report.phase("loading base")
    model, tokenizer = load_base(place.base, order.device, spec.precision)
    return train_adapter(
        model, tokenizer, mixed.rows, spec, template_of(spec, tokenizer), place, report
    )


def train_adapter(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row | AlpacaRow],
    parameters: TrainingSpec | Teaching,
    template: str,
    place: Place,
    report: Report,
    *,
    objective: Objective = sft,
    start: Start | None = None,
) -> AdapterResult:
    """Train a LoRA adapter on `rows` and write it to `place.out`; the base is left as it was.

    `start`: factors (b, a) by module that the adapter begins with, of at most its rank.
    Raises NothingToTrain, BadData, RankTooLarge, InvalidSpec (targets) before the first step;
    Stopped, NotFinite, OutOfMemory, ResumeRefused on the way; NoOp and ReloadMismatch after it.
    """
    report.phase("training")
    data = _encode(model, tokenizer, rows, parameters, template, place, report)
    goal = aim(parameters, data, objective)
    adapted = fresh_adapter(model, parameters, place.base.name)
    if start and isinstance(adapted, Adapted):
        report.log(f"begins with {put_start(adapted, start)} of {len(start)} updates")
    targets = target_modules(adapted)
    trained = sum(part.numel() for part in adapted.parameters() if part.requires_grad)
    rank = adapted.config.r if isinstance(adapted, Adapted) else adapted.offset
    report.log(
        f"adapter of rank {rank} on {', '.join(targets)}: {trained} weights"
        if targets
        else f"prefix of {rank} tokens: {trained} weights"
    )
    rows_at_once = min(parameters.micro_batch_size or parameters.batch_size, parameters.batch_size)
    learner = _learner(adapted, goal, parameters, place, report)
    course = Course(
        lessons=goal.lessons,
        objective=goal.objective,
        parameters=parameters,
        padding=tokenizer.pad_token_id or 0,
        micro_batch=max(1, rows_at_once >> place.halvings),
        checkpoint_every=parameters.checkpoint_every,
        checkpoints=place.checkpoints,
        resume_from=place.resume_from,
        identity=_identity(rows, parameters, template, place) | {"packed": learner.packs},
        lora_plus=parameters.lora_plus if isinstance(parameters, TrainingSpec) else 1.0,
    )
    try:
        with compiled(model, wanted=getattr(parameters, "compiled", False)):
            standing = loop.run(learner, course, report)
    except torch.OutOfMemoryError as full:
        raise OutOfMemory(detail=str(full).splitlines()[0]) from full
    report.phase("checking")
    change = publish(adapted, place, standing.step)
    report.log(f"reloaded from disk: same logits, up to {change:.3g} away from the base's")
    facts = {
        "logit_change": change,
        "target_modules": targets,
        **_facts(data, parameters, template, place, standing),
        "rank": rank,
        "objective": goal.name,
    }
    write_facts(place.out, facts)
    return AdapterResult(place.out, rank, facts)


def _learner(
    adapted: Adapted | Prefixed,
    goal: Aim,
    parameters: TrainingSpec | Teaching,
    place: Place,
    report: Report,
) -> Learner:
    """The adapter as the loop trains it; says how rows will lie in memory.

    Raises InvalidSpec where a prefix is wanted and the base's attention cannot be given one.
    """
    longest = max(len(example.ids) for lesson in goal.lessons for example in lesson)
    wanted = goal.packs and getattr(parameters, "packing", True)
    prefixed = isinstance(adapted, Prefixed)
    learner = Learner.of(adapted, longest if wanted or prefixed else 0)
    if prefixed and not (learner.packs and logit_change(adapted) > 0):
        problem = (
            f'the attention of base "{place.base.name}" cannot be given keys and values from '
            "outside; take lora"
        )
        raise InvalidSpec(field="tuning", problem=problem)
    how = "end to end, without padding" if learner.packs else "padded, in groups of like length"
    report.log(f"rows lie in memory {how}")
    return learner


def _encode(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row | AlpacaRow],
    parameters: TrainingSpec | Teaching,
    template: str,
    place: Place,
    report: Report,
) -> Encoded:
    """The rows as audited examples, no longer than the base can read."""
    limit = parameters.max_length
    reach = getattr(model.config.get_text_config(), "max_position_embeddings", None) or limit
    if reach < limit:
        report.log(f"the base reads {reach} tokens; max_length {limit} is lowered to that")
        limit = reach
    data = encode(rows, tokenizer, template, limit)
    audit(
        data, tokenizer, dataset=place.dataset, template=template, max_length=limit, report=report
    )
    require_known_ids(data, model.get_input_embeddings().num_embeddings, place.dataset)
    return data


def _identity(
    rows: Sequence[Row | AlpacaRow],
    parameters: TrainingSpec | Teaching,
    template: str,
    place: Place,
) -> dict[str, Any]:
    """What a checkpoint of this training must have been written under."""
    groups = (ObjectiveParameters, TuningParameters, LoraParameters, OptimiserParameters)
    names = {name for group in groups for name in group.model_fields} | {"max_length"}
    return {
        "dataset": content_hash(rows),
        "template": f"{template} {fingerprint(template)}",
        "base model": place.base.fingerprint,
        **parameters.model_dump(mode="json", include=names - _FREE),
        **place.identity,
    }


def _facts(
    data: Encoded,
    parameters: TrainingSpec | Teaching,
    template: str,
    place: Place,
    standing: Standing,
) -> dict[str, Any]:
    """What is remembered of the adapter's making, in its folder and in the database."""
    seconds = max(standing.seconds, 1e-9)
    return {
        "base": place.base.name,
        "base_fingerprint": place.base.fingerprint,
        "dataset": place.dataset,
        "template": template,
        "template_fingerprint": fingerprint(template),
        "alpha": parameters.alpha,
        "steps": standing.step,
        "final_loss": sum(standing.losses) / len(standing.losses),
        "rows": len(data.examples),
        "rows_cut": data.cut,
        "rows_dropped": data.dropped,
        "trained_tokens": standing.labels,
        "tokens": standing.tokens,
        "seconds": round(standing.seconds, 3),
        "tokens_per_s": round(standing.tokens / seconds, 1),
        "trained_tokens_per_s": round(standing.labels / seconds, 1),
    }
