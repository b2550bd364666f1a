"""What the log says before the first step, so that a wrong mask or template is seen at once."""

from typing import Any

from shared.errors import BadData, NothingToTrain
from shared.templates import fingerprint
from worker.reporting import Report
from worker.training.examples import Encoded, Example

#: Marks around the trained part of an example.
OPEN, CLOSE = "⟦", "⟧"
_SHOWN = 3
#: Under this share of trained tokens something is probably masked by mistake.
_FEW = 0.01


def audit(
    data: Encoded, tokenizer: Any, *, dataset: str, template: str, max_length: int, report: Report
) -> None:
    """Log the share of trained tokens, what was cut, and the first examples as they are trained.

    Raises NothingToTrain where no example is left.
    """
    if not data.examples:
        raise NothingToTrain(file=dataset, dataset=dataset, max_length=max_length)
    share = data.labels / data.tokens
    report.log(
        f"data: {len(data.examples)} of {data.rows} rows, {data.tokens} tokens, "
        f"{data.labels} of them trained ({share:.1%})"
    )
    if share < _FEW:
        report.log(f"only {share:.2%} of the tokens are trained: are the answers cut?", "warning")
    if data.cut:
        report.log(
            f"{data.cut} rows were cut to {max_length} tokens and do not learn where to end; "
            f"{data.dropped} of them kept nothing of their answer and are left out",
            "warning",
        )
    _log_ends(data, tokenizer, report)
    report.log(f"template {template}, fingerprint {fingerprint(template)}")
    for number, example in enumerate(data.examples[:_SHOWN], start=1):
        text = marked(example, tokenizer)
        report.log(f"example {number}, trained between {OPEN} and {CLOSE}:\n{text}")


def marked(example: Example, tokenizer: Any) -> str:
    """An example's text, decoded from its ids, with the trained parts between marks."""
    ids, text, done = list(example.ids), "", 0
    for begin, end in example.trained:
        text += (
            f"{tokenizer.decode(ids[done:begin])}{OPEN}{tokenizer.decode(ids[begin:end])}{CLOSE}"
        )
        done = end
    return text + tokenizer.decode(ids[done:])


def require_known_ids(data: Encoded, vocabulary: int, dataset: str) -> None:
    """Raise BadData where the tokenizer made ids that the base has no embedding for."""
    highest = max((max(example.ids) for example in data.examples), default=0)
    if highest >= vocabulary:
        problem = (
            f"the tokenizer gives token {highest}, but the base knows only {vocabulary} tokens; "
            "the base's tokenizer and weights do not belong together"
        )
        raise BadData(file=dataset, problem=problem)


def _log_ends(data: Encoded, tokenizer: Any, report: Report) -> None:
    begin = tokenizer.bos_token or "none"
    if data.trains_end:
        report.log(f"begin token {begin}; end token {tokenizer.eos_token} is trained: yes")
    else:
        report.log(
            f"begin token {begin}; end token is trained: no, the tokenizer has none, "
            "so answers may not end",
            "warning",
        )
