"""The training engine: rows and a base in, an adapter folder that plain PEFT loads out."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from shared.errors import Both, Internal, OutOfMemory, both
from shared.formats import AlpacaRow, Row
from shared.orders import WorkOrder
from shared.specs import Learning, TrainingSpec
from worker.checkpoints import load_base, write_facts
from worker.reporting import AdapterResult, Report, Unheard
from worker.training import loop
from worker.training.adapted import Adapted
from worker.training.adapter import Start, fresh_adapter, publish, put_start, target_modules
from worker.training.aims import Aim, aim
from worker.training.audit import audit, require_known_ids
from worker.training.batches import Lesson, schedule
from worker.training.compiling import compiled
from worker.training.course import Course
from worker.training.crew import Crew, Together
from worker.training.data import rows_of, template_of
from worker.training.examples import Encoded, encode
from worker.training.float8_base import in_float8, require_float8
from worker.training.full import Full
from worker.training.learner import Learner
from worker.training.objectives import Objective, sft
from worker.training.place import Place, place_of
from worker.training.prefix import Prefixed, no_prefix
from worker.training.recomputing import recomputed, recomputes
from worker.training.record import facts_of, identity_of
from worker.training.room import require_room
from worker.training.spreading import load_spread, wants_spreading
from worker.training.together import together
from worker.training.trainee import Trainee

#: Looks at the rows held out, where the spec does not say after how many steps.
_LOOKS = 10


def train(order: WorkOrder, report: Report) -> AdapterResult:
    """Run an order whose spec is a TrainingSpec, in a process of its own on each of its cards.

    Raises what reading the data, loading the base, `train_adapter` and `together` raise.
    """
    if order.cards == 1:
        return _train(order, report, Crew())

    def part(crew: Together) -> AdapterResult:
        own = order.model_copy(update={"device": crew.device})
        return _train(own, report if crew.leads else Unheard(), crew)

    return together(order.cards, order.device, part)


def _train(order: WorkOrder, report: Report, crew: Crew) -> AdapterResult:
    spec = order.spec
    if not isinstance(spec, TrainingSpec) or order.dataset is None:
        raise Internal(detail=f"an order to {spec.kind} reached the training engine")
    place = place_of(order)
    report.phase("reading data")
    mixed = rows_of(order, spec, report)
    report.phase("loading base")
    full = spec.tuning == "full"
    if full:
        require_room(place.base, order.device, spec, place.halvings, crew.size)
    if spec.base_bits == "fp8":
        require_float8(order.device)
    precision = "fp32" if full else spec.precision
    if wants_spreading(spec, place.base, order.device, place.halvings, crew):
        report.log(
            both(
                "each card holds its part of the base's layers (spread)",
                "每张卡各存放底座各层的一部分（spread）",
            )
        )
        model, tokenizer = load_spread(place.base, order.device, precision, crew)
    else:
        model, tokenizer = load_base(place.base, order.device, precision, spec.base_bits)
    template = template_of(spec, tokenizer)
    return train_adapter(
        model, tokenizer, mixed.rows, spec, template, place, report,
        held_out=mixed.held_out, crew=crew,
    )  # fmt: skip


def train_adapter(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row | AlpacaRow],
    parameters: TrainingSpec | Learning,
    template: str,
    place: Place,
    report: Report,
    *,
    objective: Objective = sft,
    start: Start | None = None,
    held_out: Sequence[Row | AlpacaRow] = (),
    crew: Crew | None = None,
) -> AdapterResult:
    """Train an adapter on `rows` and write it to `place.out`; the base is left as it was.

    `start`: factors (b, a) by module that the adapter begins with, of at most its rank.
    `held_out`: rows that decide which step's weights are published. `crew`: processes that train it
    together, of which the leader alone publishes.
    Raises NothingToTrain, BadData, RankTooLarge, InvalidSpec (targets) before the first step;
    Stopped, NotFinite, OutOfMemory, ResumeRefused on the way; NoOp and ReloadMismatch after it.
    """
    crew = crew or Crew()
    report.phase("training")
    data = _encode(model, tokenizer, rows, parameters, template, place, report)
    goal = aim(parameters, data, objective)
    unseen = _unseen(model, tokenizer, held_out, parameters, template, objective)
    adapted = fresh_adapter(model, parameters, place.base.name)
    if start and isinstance(adapted, Adapted):
        begun = f"{put_start(adapted, start)} / {len(start)}"
        report.log(both(f"begins with {begun} updates", f"从 {begun} 个更新开始"))
    targets = target_modules(adapted)
    trained = sum(part.numel() for part in adapted.parameters() if part.requires_grad)
    rank = _rank(adapted)
    report.log(_what(adapted, rank, targets, trained))
    if crew.size > 1:
        en = f"{crew.size} processes share the rows of each step, one a card"
        report.log(both(en, f"每步的行由 {crew.size} 个进程分担，每卡一个"))
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
        identity=identity_of(rows, parameters, template, place) | {"packed": learner.packs},
        crew=crew,
        **_looks(parameters, goal, unseen),
    )
    try:
        with (
            in_float8(adapted, report, wanted=getattr(parameters, "base_bits", "full") == "fp8"),
            compiled(model, even=course.even, wanted=getattr(parameters, "compiled", False)),
            recomputed(adapted, wanted=recomputes(learner, course, place, report)),
        ):
            standing = loop.run(learner, course, report)
    except torch.OutOfMemoryError as full:
        raise OutOfMemory(detail=str(full).splitlines()[0]) from full
    if not crew.leads:
        if crew.in_step:
            publish(adapted, place, standing.step, crew)
        return AdapterResult(place.out, rank, {})
    report.phase("checking")
    change = publish(adapted, place, standing.step, crew)
    report.log(
        both(
            f"reloaded from disk: same logits, up to {change:.3g} away from the base's",
            f"已从磁盘重新加载：logit 一致，与底座相差至多 {change:.3g}",
        )
    )
    facts = {
        "logit_change": change,
        "target_modules": targets,
        **facts_of(data, parameters, template, place, standing),
        "rank": rank,
        "objective": goal.name,
    }
    write_facts(place.out, facts)
    return AdapterResult(place.out, rank, facts)


def _rank(adapted: Trainee) -> int:
    """Of LoRA; the tokens of a prefix; 0 where all weights learn."""
    if isinstance(adapted, Adapted):
        return adapted.config.r
    return adapted.tokens if isinstance(adapted, Prefixed) else 0


def _what(adapted: Trainee, rank: int, targets: Sequence[str], trained: int) -> Both:
    """What learns, in a line."""
    if isinstance(adapted, Full):
        return both(f"every weight of the base: {trained}", f"底座的全部权重：{trained}")
    if isinstance(adapted, Prefixed):
        en = f"prefix of {rank} tokens: {trained} weights"
        return both(en, f"{rank} 个词元的前缀：{trained} 个权重")
    names = ", ".join(targets)
    return both(
        f"adapter of rank {rank} on {names}: {trained} weights",
        f"秩为 {rank} 的适配器，作用于 {names}：{trained} 个权重",
    )


def _learner(
    adapted: Trainee,
    goal: Aim,
    parameters: TrainingSpec | Learning,
    place: Place,
    report: Report,
) -> Learner:
    """The adapter as the loop trains it; says how rows will lie in memory.

    Raises InvalidSpec where a prefix is wanted and the base's attention cannot be given one.
    """
    longest = max(len(example.ids) for lesson in goal.lessons for example in lesson)
    wanted = goal.packs and getattr(parameters, "packing", True)
    settled = not isinstance(adapted, Prefixed) or adapted.settle(packing=wanted)
    needed = isinstance(adapted, Prefixed) and adapted.prefix is not None
    learner = Learner.of(adapted, longest if wanted or needed else 0)
    if not settled or (needed and not learner.packs):
        raise no_prefix(place.base.name)
    report.log(
        both("rows lie end to end, without padding", "各行首尾相接，没有填充")
        if learner.packs
        else both("rows of like length are padded together", "长度相近的行补齐在一起")
    )
    return learner


def _encode(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row | AlpacaRow],
    parameters: TrainingSpec | Learning,
    template: str,
    place: Place,
    report: Report,
) -> Encoded:
    """The rows as audited examples, no longer than the base can read."""
    limit = _limit(model, parameters)
    if limit < parameters.max_length:
        asked = parameters.max_length
        report.log(
            both(
                f"the base reads {limit} tokens; max_length {asked} is lowered to that",
                f"底座最多读取 {limit} 个词元；max_length {asked} 已降到该值",
            )
        )
    data = encode(rows, tokenizer, template, limit)
    audit(
        data, tokenizer, dataset=place.dataset, template=template, max_length=limit, report=report
    )
    require_known_ids(data, model.get_input_embeddings().num_embeddings, place.dataset)
    return data


def _limit(model: Any, parameters: TrainingSpec | Learning) -> int:
    """Most tokens of a row: what the spec says, and what the base can read."""
    reach = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if reach and isinstance(parameters, TrainingSpec) and parameters.tuning == "prefix":
        reach -= parameters.virtual_tokens
    return min(parameters.max_length, reach or parameters.max_length)


def _unseen(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row | AlpacaRow],
    parameters: TrainingSpec | Learning,
    template: str,
    objective: Objective,
) -> list[Lesson]:
    """The rows held out, as lessons of the same objective."""
    if not rows:
        return []
    data = encode(rows, tokenizer, template, _limit(model, parameters))
    return aim(parameters, data, objective).lessons


def _looks(
    parameters: TrainingSpec | Learning, goal: Aim, unseen: Sequence[Lesson]
) -> dict[str, Any]:
    """What a course knows of LoRA+ and of rows held out; teaching knows neither."""
    if not isinstance(parameters, TrainingSpec):
        return {}
    steps = schedule(len(goal.lessons), parameters).steps
    return {
        "lora_plus": parameters.lora_plus,
        "held_out": unseen,
        "look_every": parameters.look_every or math.ceil(steps / _LOOKS),
        "patience": parameters.patience,
    }
