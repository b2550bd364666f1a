"""The rows of a training order: its datasets read, mixed and split as the spec says."""

from typing import Any

from shared.errors import EmptyData, Internal, InvalidSpec
from shared.formats import read_rows
from shared.formats.mixing import Mixed, Part, mix
from shared.orders import WorkOrder
from shared.specs import TrainingSpec
from worker.reporting import Report


def template_of(spec: TrainingSpec, tokenizer: Any) -> str:
    """The template's name, or its Jinja source where it is the tokenizer's or the user's own.

    Raises InvalidSpec where the tokenizer has none.
    """
    if spec.template == "custom":
        return spec.template_text
    if spec.template != "chat":
        return spec.template
    source = getattr(tokenizer, "chat_template", None)
    if not isinstance(source, str):
        problem = "the base's tokenizer has no chat template; name another one"
        raise InvalidSpec(field="template", problem=problem)
    return source


def rows_of(order: WorkOrder, spec: TrainingSpec, report: Report) -> Mixed:
    """Rows to train on and rows held out, with what was done in the log.

    Raises what reading the files raises, and EmptyData where nothing is left to train on.
    """
    if order.dataset is None:
        raise Internal(detail="the order names no dataset")
    files = [order.dataset, *order.more_datasets]
    parts = [(Part(file.name, file.weight), read_rows(file.path, file.format)) for file in files]
    mixed = mix(
        parts, seed=spec.seed, languages=spec.languages, deduplicate=spec.deduplicate,
        held_out=spec.held_out, rows=spec.rows,
    )  # fmt: skip
    for note in mixed.notes:
        report.log(note)
    if not mixed.rows:
        raise EmptyData(file=spec.dataset)
    return mixed
