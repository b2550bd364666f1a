"""The study's pieces: one adapter made and judged, or what others wait for, each by a process."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from benchmarks import transfer_arms as arms
from benchmarks.transfer_arms import Made, Setting
from benchmarks.transfer_proxy import proxy_values
from benchmarks.transfer_rows import rows_of, values_row
from benchmarks.transfer_tasks import TASKS, Size, Task, files, write
from benchmarks.transfer_weights import by_weights
from shared.errors import NoAnswers, NoOp, TwoVocabularies
from shared.orders import AdapterFiles

DONOR = "llama-23m"
HOSTS = {"continuation": "llama-23m-cont", "cross": "glm-12m"}
#: What a piece waits for, by what it does, in the order of how much it says about a host.
WAITS: dict[str, tuple[str, ...]] = {
    "donor": (),
    "base": (),
    "native": (),
    "answers": ("donor",),
    "refresh": ("answers",),
    "base answers": (),
    "distil": ("answers",),
    "few": (),
    "teacher": ("base answers",),
    "shuffled": ("answers",),
    "weights": ("donor",),
    "others": ("native", "refresh"),
    "proxy": ("donor",),
    "sampled answers": ("donor",),
    "refresh sampled": ("sampled answers",),
    "shuffled samples": ("sampled answers",),
    "distil the donor": ("sampled answers",),
    "distil from Procrustes": ("answers",),
}
#: Pieces that belong to the donor, not to a host.
AT_HOME = ("donor", "answers", "sampled answers", "base answers")


@dataclass(frozen=True)
class Piece:
    """One thing to do; small enough to be sent to another process."""

    what: str
    base: str
    task: str
    seed: int
    #: All tasks of the study, for controls that take another one's adapter.
    tasks: tuple[str, ...]
    models: Path
    data: Path
    work: Path
    device: str
    size: Size
    seeds: int

    @property
    def key(self) -> str:
        """Its name among the results."""
        return f"{self.what}/{self.base}/{self.task}/{self.seed}"

    @property
    def waits(self) -> list[str]:
        """Keys of the pieces that come first."""
        tasks = self.tasks if self.what == "others" else (self.task,)
        return [
            f"{what}/{DONOR if what in AT_HOME else self.base}/{task}/"
            f"{0 if what == 'base answers' else self.seed}"
            for what in WAITS[self.what]
            for task in tasks
        ]


def run(piece: Piece) -> list[dict[str, Any]]:
    """The piece's rows, one an arm, with the values of every item; at least one row."""
    torch.set_num_threads(1)
    rows = WORK[piece.what](_Bench(piece))
    return rows or [{"unit": piece.key, "stage": "made", "arm": piece.what, "seed": piece.seed}]


class _Bench:
    """Where a piece finds what it needs."""

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        self.home = arms.base_files(piece.models, DONOR)
        self.host = arms.base_files(piece.models, piece.base)

    @cached_property
    def task(self) -> Task:
        return TASKS[self.piece.task](self.piece.data, self.piece.size)

    @cached_property
    def setting(self) -> Setting:
        piece, size = self.piece, self.piece.size
        return Setting(
            task=piece.task, seed=piece.seed, max_new_tokens=self.task.max_new_tokens,
            max_length=self.task.max_length, steps=size.steps, batch_size=size.batch_size,
            device=piece.device,
            files=files(self.task, piece.data, size, piece.work), learning_rate=size.learning_rate,
            precision=size.precision,
        )  # fmt: skip

    def place(self, what: str, base: str = "", task: str = "") -> Path:
        """The folder of an adapter or of answers."""
        piece = self.piece
        seed = 0 if what == "base answers" else piece.seed
        name = what.replace(" ", "-")
        return piece.work / (base or piece.base) / (task or piece.task) / str(seed) / name

    @property
    def donor(self) -> AdapterFiles:
        data, rows = self.setting.files["train"], self.piece.size.rows
        made = arms.trained(self.setting, self.home, data, rows, self.place("donor", DONOR))
        assert made.folder is not None
        return arms.donor_files(self.setting, self.home, made.folder)

    def answers(self, temperature: float = 0.0) -> Path:
        """The donor's answers, greedy or sampled; told once for all hosts. Raises NoAnswers."""
        where = self.place("sampled answers" if temperature else "answers", DONOR)
        return arms.answered(self.setting, self.donor, where, temperature)

    def judged(self, made: dict[str, Made]) -> list[dict[str, Any]]:
        """Rows of arms, those judged that there are."""
        found = {name: each.folder for name, each in made.items() if each.folder is not None}
        where = self.place("judged") / self.piece.what.replace(" ", "-")
        parts = arms.judged(self.setting, self.host, found, where) if found else []
        kept = [part for part in parts if part.arm in made]
        shutil.rmtree(where, ignore_errors=True)
        return rows_of(self.piece, self.task.metric, made, kept)


def _donor(bench: _Bench) -> list[dict[str, Any]]:
    rows = bench.setting.files["train"]
    made = arms.trained(
        bench.setting, bench.home, rows, bench.piece.size.rows, bench.place("donor")
    )
    return bench.judged({"donor at home": made} if bench.piece.seed == 0 else {})


def _base(bench: _Bench) -> list[dict[str, Any]]:
    """The base has no seed: judged once, it stands for all of them."""
    where = bench.place("judged") / "base"
    parts = arms.judged(bench.setting, bench.host, {}, where)
    rows = rows_of(bench.piece, bench.task.metric, {"base": Made(None, 0.0)}, parts)
    return [row | {"seed": seed} for row in rows for seed in range(bench.piece.seeds)]


def _native(bench: _Bench) -> list[dict[str, Any]]:
    data, rows = bench.setting.files["train"], bench.piece.size.rows
    made = arms.trained(bench.setting, bench.host, data, rows, bench.place("native"))
    return bench.judged({"native": made})


def _few(bench: _Bench) -> list[dict[str, Any]]:
    data = bench.setting.files["few"]
    made = arms.trained(bench.setting, bench.host, data, bench.piece.size.few, bench.place("few"))
    return bench.judged({"native, few labels": made})


def _answers(temperature: float) -> Callable[[_Bench], list[dict[str, Any]]]:
    """A donor that never ends an answer teaches nothing; those who ask it say so themselves."""

    def work(bench: _Bench) -> list[dict[str, Any]]:
        with suppress(NoAnswers):
            bench.answers(temperature)
        return []

    return work


def _base_answers(bench: _Bench) -> list[dict[str, Any]]:
    where = bench.place("base answers", DONOR)
    arms.base_answers(bench.setting, bench.home, bench.task.train, where)
    return []


def _taught(name: str, **params: Any) -> Callable[[_Bench], list[dict[str, Any]]]:
    def work(bench: _Bench) -> list[dict[str, Any]]:
        began = time.perf_counter()
        wanted = params | bench.setting.teaching
        where = bench.place(bench.piece.what)
        try:
            told = bench.answers(params.get("temperature", 0.0))
            made = arms.moved(bench.setting, wanted, bench.donor, bench.host, where, told)
        except (NoOp, NoAnswers, TwoVocabularies) as nothing:
            made = Made(None, (time.perf_counter() - began) / 60, why=str(nothing))
        return bench.judged({name: made})

    return work


def _teacher(bench: _Bench) -> list[dict[str, Any]]:
    """What the donor's base says without the adapter, learned as refresh learns."""
    where = arms.base_answers(
        bench.setting, bench.home, bench.task.train, bench.place("base answers", DONOR)
    )
    return _relearned(bench, "control: base as teacher", arms.read_answers(where, bench.task.train))


def _shuffled(name: str, temperature: float) -> Callable[[_Bench], list[dict[str, Any]]]:
    def work(bench: _Bench) -> list[dict[str, Any]]:
        try:
            told = arms.read_answers(bench.answers(temperature), bench.task.train)
        except NoAnswers as nothing:
            return bench.judged({name: Made(None, 0.0, why=str(nothing))})
        return _relearned(bench, name, arms.shuffled_answers(told, bench.piece.seed))

    return work


def _relearned(bench: _Bench, name: str, rows: list[Any]) -> list[dict[str, Any]]:
    where = bench.place(bench.piece.what)
    data = write(f"{bench.piece.task}-{bench.piece.what.replace(' ', '-')}", rows, where)
    made = arms.trained(bench.setting, bench.host, data, 0, where / "a")
    return bench.judged({name: made})


def _weights(bench: _Bench) -> list[dict[str, Any]]:
    piece = bench.piece
    made = by_weights(
        bench.setting, bench.donor, bench.host, bench.place("weights"),
        across=piece.base == HOSTS["cross"], draws=piece.size.draws,
    )  # fmt: skip
    rows = bench.judged(made)
    shutil.rmtree(bench.place("weights"), ignore_errors=True)
    return rows


def _others(bench: _Bench) -> list[dict[str, Any]]:
    """Another task's donor, moved as well as can be; and the mean of the other tasks' natives."""
    others = [task for task in bench.piece.tasks if task != bench.piece.task]
    if not others:
        return []
    next_one = others[list(bench.piece.tasks).index(bench.piece.task) % len(others)]
    natives = {f"n{n}": bench.place("native", task=task) / "out" for n, task in enumerate(others)}
    mean = arms.mean_of(natives, bench.host, bench.place("mean"), bench.piece.device)
    folder = bench.place("refresh", task=next_one) / "out"
    there = (folder / arms.CONFIG).is_file()
    moved = Made(folder if there else None, 0.0, why="" if there else f"{next_one}: no refresh")
    return bench.judged({"control: another task's donor": moved, "control: other natives": mean})


def _proxy(bench: _Bench) -> list[dict[str, Any]]:
    """Proxy-tuning where items are scored without generating."""
    if bench.task.metric == "rougeL":
        return []
    began = time.perf_counter()
    task = bench.task
    values = proxy_values(bench.setting, task.items, task.held_out, bench.donor, bench.host)
    made = Made(None, (time.perf_counter() - began) / 60)
    return [values_row(bench.piece, "ceiling: proxy-tuning", made, values, task.metric)]


WORK: dict[str, Callable[[_Bench], list[dict[str, Any]]]] = {
    "donor": _donor,
    "base": _base,
    "native": _native,
    "answers": _answers(0.0),
    "refresh": _taught("refresh", method="refresh"),
    "base answers": _base_answers,
    "distil": _taught("distil", method="distil"),
    "few": _few,
    "teacher": _teacher,
    "shuffled": _shuffled("control: answers shuffled", 0.0),
    "weights": _weights,
    "others": _others,
    "proxy": _proxy,
    "sampled answers": _answers(1.0),
    "refresh sampled": _taught("refresh, sampled", method="refresh", temperature=1.0),
    "shuffled samples": _shuffled("control: sampled answers shuffled", 1.0),
    # Its copied start needs a host of the donor's sizes, as its target needs one vocabulary.
    "distil the donor": _taught(
        "distil the donor", method="distil", temperature=1.0, target="donor", start="copy"
    ),
    "distil from Procrustes": _taught(
        "distil from Procrustes", method="distil", start="procrustes"
    ),
}
