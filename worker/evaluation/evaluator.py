"""Evaluate arms (the base and each adapter) on benchmarks, item by item, over one resident base."""

import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch

from shared.benchmarks import Benchmark, read_benchmark
from shared.errors import BadData, NotFinite, both
from shared.evaluations import EvaluationPart, EvaluationResult, write_result
from shared.halves import half_of
from shared.metrics import Shape, aggregate
from shared.orders import AdapterFiles, DataFile, WorkOrder
from shared.specs import Choosing, EvaluationSpec
from shared.templates import fingerprint, label
from worker.admission import look_through
from worker.checkpoints import load_base
from worker.evaluation import choice, continuation, generate, instruct
from worker.evaluation.arms import Arms
from worker.evaluation.augment import Library
from worker.evaluation.budget import tokens_at_once
from worker.evaluation.decoding import Decoding
from worker.evaluation.embedding import search_by_states
from worker.evaluation.own_words import LENGTH, own_words
from worker.evaluation.reading import Reader, end_tokens, reading_limit
from worker.evaluation.saving import FinishedParts
from worker.evaluation.scoring import packing_fits
from worker.evaluation.tasks import Arm, Prepare, Task
from worker.reporting import Report, Stopped

#: Raised whenever the same order would give other numbers.
ENGINE = 2
#: Batches are not cut below this many tokens, however often memory ran out.
LEAST_BATCH = 64

SHAPES: dict[Shape, Prepare] = {
    "choice": choice.prepare,
    "generate": generate.prepare,
    "continuation": continuation.prepare,
    "instruct": instruct.prepare,
}


#: How samples are chosen for the arms that have some; None asks without.
WAYS: tuple[Choosing | None, ...] = (None, "random", "retrieved")


def asked_of(spec: EvaluationSpec, how: Choosing | None, benchmark: Benchmark) -> dict[str, str]:
    """The arms whose samples are chosen that way, by the base or adapter that answers."""
    if how is not None and not benchmark.takes_samples:
        return {}
    return {model: arm for arm, (model, chosen) in spec.arms().items() if chosen == how}


def evaluate(order: WorkOrder, report: Report) -> EvaluationResult:
    """Score every arm on every benchmark; write the result to `order.out` and return it.

    Raises NoOp or UnsupportedAdapter naming an adapter that does not load in full or changes
    nothing, NotFinite where a model yields NaN, what `read_benchmark` raises, and Stopped.
    """
    spec = order.spec
    if not isinstance(spec, EvaluationSpec) or order.base is None:
        raise TypeError("an evaluation needs an EvaluationSpec and a base")
    report.phase("reading benchmarks")
    benchmarks = [(file, _limited(file, spec, report)) for file in order.benchmarks]
    look_through(order, report)
    report.phase("loading base")
    model, tokenizer = load_base(order.base, order.device, spec.precision)
    with torch.inference_mode():
        packed = packing_fits(model)
    report.phase("attaching adapters")
    arms = Arms(model, tokenizer, order.adapters)
    if spec.forgetting:
        report.phase("writing the base's own words")
        how = Decoding(
            ends=end_tokens(tokenizer, arms.model), max_new_tokens=LENGTH, packed=packed,
            batch_tokens=tokens_at_once(arms.model) >> order.halvings,
        )  # fmt: skip
        if made := own_words(arms, spec.forgetting, how, order.folder):
            benchmarks.append(made)
    finished = FinishedParts(order.folder / "checkpoints", report, order.resume_from)
    total = sum(
        len(found.items) * len(asked_of(spec, how, found).keys() & set(arms.names))
        for _, found in benchmarks
        for how in WAYS
    )
    run = _Run(order, spec, report, arms, finished, packed, total)
    try:
        for file, benchmark in benchmarks:
            run.benchmark(file, benchmark)
    except Stopped:
        finished.save()
        raise
    place = {name: order for order, name in enumerate(spec.arms())}
    rank = {file.name: order for order, (file, _) in enumerate(benchmarks)}
    finished.parts.sort(key=lambda part: (rank[part.benchmark], place[part.arm]))
    result = EvaluationResult(parts=finished.parts)
    write_result(order.out, result)
    return result


def _limited(file: DataFile, spec: EvaluationSpec, report: Report) -> Benchmark:
    """The items that are asked for. Raises BadData, also for an empty half."""
    found = read_benchmark(file.path)
    if found.duplicates:
        rows = ", ".join(str(row) for row in list(found.duplicates)[:10])
        report.log(
            both(
                f"{file.name}: {len(found.duplicates)} rows repeat an earlier one and are left out "
                f"(rows {rows})",
                f"{file.name}：{len(found.duplicates)} 行与前面的行重复，已略去（第 {rows} 行）",
            ),
            "warning",
        )
    items = [
        item
        for item in found.items
        if spec.half == "all" or half_of(item.item_hash, item.group) == spec.half
    ]
    if not items:
        problem = both(
            f"its {spec.half} half is empty, so few groups it has: use all",
            f"分组太少，其 {spec.half} 一半为空：请使用 all",
        )
        raise BadData(file=file.name, problem=problem)
    return replace(found, items=items[: spec.limit or None])


class _Run:
    """One evaluation on its way: the arms, and how many of all items they have done."""

    def __init__(
        self,
        order: WorkOrder,
        spec: EvaluationSpec,
        report: Report,
        arms: Arms,
        finished: FinishedParts,
        packed: bool,
        total: int,
    ) -> None:
        self._spec, self._report, self._arms, self._finished = spec, report, arms, finished
        self._limit = reading_limit(arms.model, arms.ahead)
        self._ends = end_tokens(arms.tokenizer, arms.model)
        self._packed = packed
        at_once = spec.batch_tokens or tokens_at_once(arms.model)
        self._batch_tokens = max(LEAST_BATCH, at_once >> order.halvings)
        self._template = template_of(spec, order.adapters, report)
        self._facts = _facts(spec, self._template, arms.model, order.device, packed)
        self._done, self._total = 0, total
        self._library = None if order.knowledge is None else Library(order.knowledge.path)
        if self._library is not None and spec.search == "vectors":
            report.phase("reading the knowledge base")
            reader = Reader(arms.tokenizer, "plain", "", self._limit, 1)
            search_by_states(self._library, order, arms, reader, self._batch_tokens)

    def benchmark(self, file: DataFile, benchmark: Benchmark) -> None:
        """One benchmark by every arm: without samples, then with them as each way chooses them."""
        for how in WAYS:
            if arms := asked_of(self._spec, how, benchmark):
                self._ask(file, benchmark, how, arms)

    def _ask(
        self, file: DataFile, benchmark: Benchmark, how: Choosing | None, arms: dict[str, str]
    ) -> None:
        """Arms whose samples are chosen alike, on the same requests in the same batches."""
        reader = Reader(
            self._arms.tokenizer, self._template, file.name, self._limit,
            self._spec.max_new_tokens,
        )  # fmt: skip
        leaks = 0
        if how is not None and self._library is not None:
            reader.example_tokens = self._spec.sample_tokens
            reader.examples, leaks = self._library.examples(
                how, benchmark.items, self._spec.samples
            )
        task = SHAPES[benchmark.shape](benchmark.items, reader)
        if reader.truncated:
            self._report.log(
                both(
                    f"{file.name}: {reader.truncated} items are longer than the base reads "
                    f"({self._limit} tokens) and lost their beginning",
                    f"{file.name}：{reader.truncated} 条超过底座可读长度（{self._limit} 个词元），"
                    "开头已截去",
                ),
                "warning",
            )
        facts = self._facts | {"truncated": reader.truncated}
        if how is not None:
            facts |= {"knowledge": self._spec.knowledge, "samples": how, "leaks": leaks,
                      "search": self._spec.search}  # fmt: skip
        hashes = [item.item_hash for item in benchmark.items]
        shown = {item.item_hash: reader.shown_before(item) for item in benchmark.items}
        for together in self._arms.passes():
            models = [model for model in together if model in arms]
            if not models:
                continue
            names = [arms[model] for model in models]
            self._report.phase(f"{file.name} · {', '.join(names)}")
            earlier = [self._finished.earlier(name, file, hashes, facts) for name in names]
            found = [part for part in earlier if part is not None]
            if len(found) < len(names):
                scored = self._score(models, file, benchmark.shape, task, facts)
                found = [
                    _shown(part, name, shown) for part, name in zip(scored, names, strict=True)
                ]
            else:
                self._advance(len(hashes) * len(names))
            self._finished.add(found)

    def _score(
        self, names: list[str], file: DataFile, shape: Shape, task: Task, facts: dict[str, Any]
    ) -> list[EvaluationPart]:
        """Arms that answer together on one benchmark."""
        started, ran = time.perf_counter(), 0

        def meter(items: int, tokens: int) -> None:
            nonlocal ran
            ran += tokens
            self._advance(items)

        with self._arms.switched_to(*names) as (model, stack), torch.inference_mode():
            arm = Arm(
                model, self._arms.tokenizer, self._ends, self._packed, self._batch_tokens,
                self._spec.max_new_tokens, stack, tuple(self._spec.stop),
            )  # fmt: skip
            try:
                rows = task.run(arm, meter)
            except NotFinite as wrong:
                where = f"{file.name} · {', '.join(names)}"
                raise NotFinite(what=wrong.params["what"], where=where) from None
        seconds = time.perf_counter() - started
        # Arms that answer together share the time and the tokens evenly.
        cost = {
            "seconds": round(seconds / len(names), 3), "tokens": ran // len(names),
            "tokens_per_second": round(ran / seconds, 1), "together": len(names),
        }  # fmt: skip
        return [
            EvaluationPart(
                arm=name, benchmark=file.name, benchmark_sha256=file.sha256, shape=shape,
                items=each, metrics=aggregate(each, shape), engine=facts | cost,
            )
            for name, each in zip(names, rows, strict=True)
        ]  # fmt: skip

    def _advance(self, items: int) -> None:
        self._done += items
        self._report.progress(self._done, self._total, "items")
        if self._report.stop_requested():
            raise Stopped


def _shown(part: EvaluationPart, arm: str, shown: dict[str, list[str]]) -> EvaluationPart:
    """A part under its arm's name, with the samples that stood before each item."""
    items = [row.model_copy(update={"samples": shown[row.item_hash]}) for row in part.items]
    return part.model_copy(update={"arm": arm, "items": items})


def template_of(spec: EvaluationSpec, adapters: Sequence[AdapterFiles], report: Report) -> str:
    """The template of every arm's prompts: the named one, or the adapters' own.

    Adapters that were trained with different ones are asked with `auto`, and the log says so.
    """
    if spec.template != "adapter":
        return spec.template
    own = {str(each.facts.get("template") or "auto") for each in adapters}
    if len(own) > 1:
        names = ", ".join(sorted(map(label, own)))
        report.log(
            both(
                f"the adapters were trained with different templates ({names}); all are asked "
                "with auto",
                f"各适配器训练时的模板不同（{names}）；统一用 auto 提问",
            ),
            "warning",
        )
        return "auto"
    return own.pop() if own else "auto"


def _facts(
    spec: EvaluationSpec, template: str, model: Any, device: str, packed: bool
) -> dict[str, Any]:
    """How the numbers are made; see `COMPARABLE_FACTS` for those that two arms must share."""
    return {
        "engine": ENGINE,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": device,
        "template": label(template),
        "template_sha256": fingerprint(template),
        "max_new_tokens": spec.max_new_tokens,
        "stop": spec.stop,
        "half": spec.half,
        "packed_choices": packed,
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }
