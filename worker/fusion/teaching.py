"""What transfers by teaching share: the donor answers prompts, then a host adapter is trained."""

import gc
import hashlib
import json
import random
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from shared.errors import Both, NoAnswers, NoOp, WrongCount, both
from shared.formats import Conversation, read_questions
from shared.orders import AdapterFiles, WorkOrder
from shared.specs import Teaching
from shared.templates import fingerprint
from worker.checkpoints import attach_adapter, load_base, logit_change
from worker.fusion.answer_file import NAME, AnswerFile
from worker.fusion.answers import answer_all, prompts_of
from worker.fusion.inheritance import inherited
from worker.reporting import AdapterResult, Report
from worker.training import train_adapter
from worker.training.adapter import Start
from worker.training.objectives import Objective, sft
from worker.training.place import place_of

#: A training checkpoint's own file, which one of answers alone does not have.
_TRAINING_STATE = "state.json"


@dataclass(frozen=True)
class Taught:
    """What the donor said."""

    #: Prompts with the donor's answers as outputs.
    rows: list[Conversation]
    template: str
    #: What became of all prompts, for the adapter's facts.
    counts: dict[str, Any]
    #: Where the answers lie.
    path: Path


def ask(order: WorkOrder, params: Teaching, report: Report) -> Taught:
    """Let the order's donor answer its prompts; a later attempt asks only what is missing.

    Raises WrongCount, NoAnswers, NoOp where the donor changes nothing, Stopped.
    """
    if len(order.adapters) != 1 or order.base is None or order.dataset is None:
        raise WrongCount(method=_method(params), wanted="one adapter", given=len(order.adapters))
    donor = order.adapters[0]
    template = str(inherited(order.adapters)["template"])
    report.phase("reading prompts")
    rows = _chosen(read_questions(order.dataset.path, order.dataset.format), params)
    key = _key(order, donor, template, params)
    file = AnswerFile(order.folder / NAME, key, order.resume_from)
    if file.found:
        report.log(
            both(
                f"{len(file.found)} of {len(rows)} answers are there from an earlier attempt",
                f"{len(rows)} 个回答中的 {len(file.found)} 个来自之前的尝试",
            )
        )
    if any(number not in file.found for number, _ in rows):
        _ask(order, donor, rows, template, params, file, report)
    learned, counts = _learned(rows, file, donor.name, params.max_new_tokens, report)
    # The donor's own training prompts are Refresh-D, others Trans-LoRA; their R differs a lot.
    counts["prompts"] = "retained" if _retained(order, donor) else "other"
    return Taught(learned, template, counts, file.path)


def learn(
    order: WorkOrder,
    params: Teaching,
    taught: Taught,
    loaded: tuple[Any, Any],
    report: Report,
    *,
    objective: Objective = sft,
    start: Start | None = None,
) -> AdapterResult:
    """Train an adapter of the host base, `loaded` (model, tokenizer), on what was taught.

    `start`: updates that the adapter begins with. Raises what training raises.
    """
    donor = order.adapters[0]
    learns = f"{_method(params)} {getattr(params, 'strength', '')}".strip()
    place = place_of(order, donor=f"{donor.name} of {donor.base.fingerprint}", method=learns)
    if place.resume_from is not None and not (place.resume_from / _TRAINING_STATE).is_file():
        place = replace(place, resume_from=None)
    carrying = _AnswersInCheckpoints(report, taught.path)
    made = train_adapter(
        *loaded, taught.rows, params, taught.template, place, carrying,
        objective=objective, start=start,
    )  # fmt: skip
    made.facts |= taught.counts
    made.facts["training_minutes"] = made.facts["seconds"] / 60
    return made


def load_donor(order: WorkOrder, params: Teaching) -> tuple[Any, Any]:
    """The donor's base with its adapter on, and its tokenizer.

    Raises NoOp where the adapter changes no logit.
    """
    donor = order.adapters[0]
    model, tokenizer = load_base(donor.base, order.device, params.precision)
    model = attach_adapter(model, donor.folder, name=donor.name)
    if not logit_change(model) > 0:
        raise NoOp(
            why=both(
                f'donor "{donor.name}" changes no logit of its own base.',
                f"供体“{donor.name}”没有改变其底座的任何 logit。",
            )
        )
    return model, tokenizer


def _method(params: Teaching) -> str:
    return str(getattr(params, "method", "transfer"))


def _retained(order: WorkOrder, donor: AdapterFiles) -> bool:
    return order.dataset is not None and donor.facts.get("dataset") == order.dataset.name


def _learned(
    rows: list[tuple[int, Conversation]], file: AnswerFile, donor: str, limit: int, report: Report
) -> tuple[list[Conversation], dict[str, Any]]:
    """The rows whose answers can be learned, and what became of all of them. Raises NoAnswers."""
    answers = [(row, file.found[number]) for number, row in rows]
    outcomes = Counter(answer.outcome for _, answer in answers)
    finished = [(row, answer.text) for row, answer in answers if answer.outcome == "finished"]
    kept = [row.answered(text) for row, text in finished if text]
    counts = {
        "asked": len(rows),
        "unfinished": outcomes["unfinished"],
        "empty": len(finished) - len(kept),
        "too_long": outcomes["unasked"],
    }
    if not kept:
        raise NoAnswers(donor=donor, limit=limit, **counts)
    told = {"kept": len(kept), "limit": limit, **counts}
    report.log(
        both(
            "{kept} of {asked} answers are learned: {unfinished} did not end within {limit} "
            "tokens, {empty} were empty, {too_long} prompts were too long to ask".format_map(told),
            "{asked} 个回答中学习 {kept} 个：{unfinished} 个未在 {limit} 个词元内结束，"
            "{empty} 个为空，{too_long} 个提示过长无法提问".format_map(told),
        )
    )
    seconds = sum(answer.seconds for _, answer in answers)
    return kept, {**counts, "kept": len(kept), "answering_minutes": seconds / 60}


def _ask(
    order: WorkOrder,
    donor: AdapterFiles,
    rows: list[tuple[int, Conversation]],
    template: str,
    params: Teaching,
    file: AnswerFile,
    report: Report,
) -> None:
    """Load the donor, let it answer, and give its memory back."""
    report.phase("loading donor")
    model, tokenizer = load_donor(order, params)
    prompts = prompts_of(rows, tokenizer, template)
    report.phase("answering")
    checkpoints = order.folder / "checkpoints"
    answer_all(model, tokenizer, prompts, params, file, checkpoints, report, order.halvings)
    del model
    gc.collect()
    if order.device.startswith("cuda"):
        torch.cuda.empty_cache()


def _chosen(rows: list[Conversation], params: Teaching) -> list[tuple[int, Conversation]]:
    """All rows with their numbers, or `params.rows` of them by the seed, in the file's order."""
    numbers = range(len(rows))
    if 0 < params.rows < len(rows):
        numbers = sorted(random.Random(params.seed).sample(numbers, params.rows))
    return [(number, rows[number]) for number in numbers]


def _key(order: WorkOrder, donor: AdapterFiles, template: str, params: Teaching) -> str:
    """Digest of all that an answer depends on."""
    names = {"rows", "max_new_tokens", "temperature", "seed", "precision"}
    parts = {
        "prompts": order.dataset.sha256 if order.dataset else "",
        "donor": [donor.name, donor.base.fingerprint],
        "template": fingerprint(template),
        **params.model_dump(mode="json", include=names),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class _AnswersInCheckpoints:
    """The job's report; every checkpoint of the training takes the answers along.

    The next attempt may run on another host, where only the checkpoint's own files arrive.
    """

    def __init__(self, report: Report, answers: Path) -> None:
        self._report = report
        self._answers = answers

    def checkpoint(self, step: int, folder: Path) -> None:
        shutil.copyfile(self._answers, folder / NAME)
        self._report.checkpoint(step, folder)

    def phase(self, name: str) -> None:
        self._report.phase(name)

    def progress(self, done: int, total: int, unit: str) -> None:
        self._report.progress(done, total, unit)

    def metrics(self, step: int, values: dict[str, float]) -> None:
        self._report.metrics(step, values)

    def log(self, text: str | Both, level: str = "info") -> None:
        self._report.log(text, level)

    def stop_requested(self) -> bool:
        return self._report.stop_requested()
