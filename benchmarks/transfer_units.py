"""The study's units of work: one training, or every arm of one (host, task, seed)."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import transfer_arms as arms
from benchmarks.transfer_arms import Made, Setting
from benchmarks.transfer_proxy import proxy_values
from benchmarks.transfer_tasks import OFF_TASK, TASKS, Size, files, off_task, write
from shared.errors import NoOp
from shared.evaluations import EvaluationPart
from shared.metrics import METRICS
from shared.orders import AdapterFiles, BaseFiles

DONOR = "llama-23m"
HOSTS = {"continuation": "llama-23m-cont", "cross": "glm-12m"}


@dataclass(frozen=True)
class Unit:
    """One piece of the study; small enough to be sent to another process."""

    stage: str
    base: str
    task: str
    seed: int
    models: Path
    data: Path
    work: Path
    device: str
    size: Size

    @property
    def key(self) -> str:
        """Its name among the results."""
        return f"{self.stage}/{self.base}/{self.task}/{self.seed}"


def run(unit: Unit) -> list[dict[str, Any]]:
    """The unit's rows, one an arm, with the values of every item."""
    torch.set_num_threads(1)
    task = TASKS[unit.task](unit.data, unit.size)
    setting = Setting(
        task=unit.task, seed=unit.seed, max_new_tokens=task.max_new_tokens,
        max_length=task.max_length, steps=unit.size.steps, device=unit.device,
        files=files(task, off_task(unit.data, unit.size), unit.work),
    )  # fmt: skip
    return _train(unit, setting) if unit.stage == "train" else _transfer(unit, setting)


def _folder(unit: Unit, base: str) -> Path:
    return unit.work / "native" / base / unit.task / str(unit.seed)


def _train(unit: Unit, setting: Setting) -> list[dict[str, Any]]:
    """Train on a base; a donor also answers its prompts, and is judged at home."""
    base = arms.base_files(unit.models, unit.base)
    folder = _folder(unit, unit.base)
    made = arms.trained(setting, base, setting.files["train"], unit.size.rows, folder)
    if unit.base != DONOR:
        return [_row(unit, "native", made, [])]
    assert made.folder is not None
    donor = arms.donor_files(setting, base, made.folder)
    arms.answered(setting, donor, folder / "answers")
    rows = TASKS[unit.task](unit.data, unit.size).train
    arms.base_answers(setting, donor, rows, folder / "base-answers")
    parts = arms.judged(setting, base, {"donor at home": made.folder}, folder / "judged")
    costs = {"base": Made(None, 0.0), "donor at home": made}
    return _rows(unit, setting, costs, parts)


def _transfer(unit: Unit, setting: Setting) -> list[dict[str, Any]]:
    """Every method and control for one host, judged together."""
    home = arms.base_files(unit.models, DONOR)
    host = arms.base_files(unit.models, unit.base)
    trained_at = _folder(unit, DONOR)
    donor = arms.donor_files(setting, home, trained_at / "out")
    answers = arms.answered(setting, donor, trained_at / "answers")
    folder = unit.work / "moved" / unit.base / unit.task / str(unit.seed)
    made: dict[str, Made] = {"base": Made(None, 0.0)}
    train = setting.files["train"]
    native = arms.trained(setting, host, train, unit.size.rows, _folder(unit, unit.base))
    made["native"] = native
    few = setting.files["few"]
    made["native, 100 labels"] = arms.trained(setting, host, few, 100, folder / "few")
    for name, work in _methods(unit, setting, donor, host, answers, folder).items():
        began = time.perf_counter()
        try:
            made[name] = work()
        except NoOp as nothing:
            minutes = (time.perf_counter() - began) / 60
            made[name] = Made(None, minutes, why=str(nothing))
    if unit.base != HOSTS["continuation"]:
        change = arms.seed_swap(donor, host, unit.device)
        made["seed swap"] = Made(None, 0.0, why=f"largest change of a logit: {change}")
        if change:
            raise AssertionError(f"the literal swap changed a logit by {change}")
    found = {name: each.folder for name, each in made.items() if each.folder is not None}
    parts = arms.judged(setting, host, found, folder / "judged")
    rows = _rows(unit, setting, made, parts)
    assert native.folder is not None
    rows += _proxy(
        unit, setting, donor, host, AdapterFiles(name="n", folder=native.folder, base=host)
    )
    shutil.rmtree(folder, ignore_errors=True)
    return rows


def _methods(
    unit: Unit, setting: Setting, donor: AdapterFiles, host: BaseFiles, answers: Path, folder: Path
) -> dict[str, Callable[[], Made]]:
    """Arm by name: how it is made."""
    task = TASKS[unit.task](unit.data, unit.size)
    train = setting.files["train"].name
    texts = {"dataset": train}
    teaching = setting.teaching

    def move(params: dict[str, Any], source: AdapterFiles = donor, told: Path | None = None) -> Any:
        name = "-".join(str(part) for part in (*params.values(), source.folder.name)).replace(
            "/", ""
        )
        place = folder / str(abs(hash(name)))
        return lambda: arms.moved(setting, params, source, host, place, told)

    def relearn(rows: Callable[[], list[Any]], name: str) -> Callable[[], Made]:
        def work() -> Made:
            data = write(f"{unit.task}-{name}", rows(), folder / name)
            return arms.trained(setting, host, data, 0, folder / name / "a")

        return work

    def of_base() -> list[Any]:
        where = _folder(unit, DONOR) / "base-answers"
        return arms.read_answers(arms.base_answers(setting, donor, task.train, where), task.train)

    def shuffled() -> list[Any]:
        return arms.shuffled_answers(arms.read_answers(answers, task.train), unit.seed)

    def noise() -> Made:
        copied = arms.moved(setting, copy, donor, host, folder / "copied")
        assert copied.folder is not None
        return arms.random_like(copied.folder, folder / "noise", unit.seed)

    copy = {"method": "copy", "resize": "pad"}
    turned = arms.shuffled_layers(donor, folder / "turned", unit.seed)
    distil = {"method": "distil"} | teaching
    return {
        "copy": move(copy),
        "Cross-LoRA": move({"method": "cross_lora", "seed": unit.seed}),
        "ProLoRA": move({"method": "pro_lora"}),
        "Procrustes": move({"method": "procrustes"} | texts),
        "ridge": move({"method": "ridge"} | texts),
        "refresh": move({"method": "refresh"} | teaching, told=answers),
        "distil": move(distil, told=answers),
        "distil from Procrustes": move(distil | {"start": "procrustes"}, told=answers),
        "control: random, same norm": noise,
        "control: layers shuffled": move({"method": "procrustes"} | texts, turned),
        "control: base as teacher": relearn(of_base, "base"),
        "control: answers shuffled": relearn(shuffled, "shuffled"),
    }


def _proxy(
    unit: Unit, setting: Setting, donor: AdapterFiles, host: BaseFiles, any_adapter: AdapterFiles
) -> list[dict[str, Any]]:
    """Proxy-tuning where items are scored without generating."""
    task = TASKS[unit.task](unit.data, unit.size)
    if task.metric == "rougeL":
        return []
    began = time.perf_counter()
    values = proxy_values(setting, task.items, task.held_out, donor, host, any_adapter)
    row = _row(unit, "ceiling: proxy-tuning", Made(None, (time.perf_counter() - began) / 60), [])
    return [row | {"values": _columns(values, task.metric)}]


def _rows(
    unit: Unit, setting: Setting, made: dict[str, Made], parts: list[EvaluationPart]
) -> list[dict[str, Any]]:
    by_arm: dict[str, list[EvaluationPart]] = {}
    for part in parts:
        by_arm.setdefault(part.arm, []).append(part)
    return [_row(unit, name, each, by_arm.get(name, [])) for name, each in made.items()]


def _row(unit: Unit, arm: str, made: Made, parts: list[EvaluationPart]) -> dict[str, Any]:
    """One line of the results: the values by item, of the task and off it."""
    metric = {"summary": "rougeL", "answers": "bits_per_byte"}.get(unit.task, "accuracy")
    row: dict[str, Any] = {
        "unit": unit.key, "stage": unit.stage, "base": unit.base, "task": unit.task,
        "seed": unit.seed, "arm": arm, "metric": metric, "minutes": made.minutes,
        "labels": made.labels, "why": made.why, "facts": made.facts,
    }  # fmt: skip
    for part in parts:
        off = part.benchmark == OFF_TASK
        values = [item.values for item in part.items]
        row["off" if off else "values"] = _columns(values, "bits_per_byte" if off else metric)
    return row


def _columns(values: list[dict[str, float]], metric: str) -> list[list[float]]:
    """[[value of each item], [weight of each item]] as the metric sums them."""
    kind = METRICS[metric]
    tops = [each[kind.keys[0]] for each in values]
    weights = [each[kind.denominator] if kind.kind == "ratio" else 1.0 for each in values]
    return [tops, weights]
