"""What the log says before the first step, so that a wrong mask or template is seen at once."""

from typing import Any

from shared.errors import BadData, Both, NothingToTrain, both
from shared.templates import fingerprint, label
from worker.reporting import Report
from worker.training.examples import Encoded, Example

#: Marks around the trained part of an example; the job page colours what is between them.
OPEN, CLOSE = "⟦", "⟧"
#: The level of lines that the job page shows as the audit.
LEVEL = "audit"
_SHOWN = 3
#: Tokens of an example that are shown; one of thousands is recognised by its ends.
_MOST = 700
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
        both(
            f"data: {len(data.examples)} of {data.rows} rows, {data.tokens} tokens, "
            f"{data.labels} of them trained ({share:.1%})",
            f"数据：{data.rows} 行中的 {len(data.examples)} 行，{data.tokens} 个词元，"
            f"其中 {data.labels} 个参与训练（{share:.1%}）",
        ),
        LEVEL,
    )
    for warning in _warnings(data, share, max_length):
        report.log(warning, "warning")
    _log_ends(data, tokenizer, report)
    print_of = fingerprint(template)
    report.log(
        both(
            f"template {label(template)}, fingerprint {print_of}",
            f"模板 {label(template)}，指纹 {print_of}",
        ),
        LEVEL,
    )
    for number, example in enumerate(data.examples[:_SHOWN], start=1):
        text = marked(example, tokenizer)
        en = f"example {number}, trained between {OPEN} and {CLOSE}:\n{text}"
        report.log(both(en, f"示例 {number}，{OPEN} 与 {CLOSE} 之间参与训练：\n{text}"), LEVEL)


def marked(example: Example, tokenizer: Any) -> str:
    """An example's text, decoded from its ids, with the trained parts between marks."""
    ids, text, done = list(example.ids[:_MOST]), "", 0
    for begin, end in example.trained:
        if begin < len(ids):
            text += tokenizer.decode(ids[done:begin])
            text += f"{OPEN}{tokenizer.decode(ids[begin:end])}{CLOSE}"
            done = end
    rest = " …" if len(example.ids) > _MOST else ""
    return text + tokenizer.decode(ids[done:]) + rest


def require_known_ids(data: Encoded, vocabulary: int, dataset: str) -> None:
    """Raise BadData where the tokenizer made ids that the base has no embedding for."""
    every = (*data.examples, *data.rejected)
    highest = max((max(example.ids) for example in every), default=0)
    if highest >= vocabulary:
        problem = both(
            f"the tokenizer gives token {highest}, but the base knows only {vocabulary} tokens; "
            "the base's tokenizer and weights do not belong together",
            f"分词器给出词元 {highest}，而底座只有 {vocabulary} 个词元；底座的分词器与权重不匹配",
        )
        raise BadData(file=dataset, problem=problem)


def _warnings(data: Encoded, share: float, max_length: int) -> list[Both]:
    found: list[Both] = []
    if share < _FEW:
        found.append(
            both(
                f"only {share:.2%} of the tokens are trained: are the answers cut?",
                f"只有 {share:.2%} 的词元参与训练：回答是否被截断？",
            )
        )
    if data.cut:
        found.append(
            both(
                f"{data.cut} rows were cut to {max_length} tokens and do not learn where to end; "
                f"{data.dropped} of them kept nothing of their answer and are left out",
                f"{data.cut} 行被截断到 {max_length} 个词元，学不到结尾；"
                f"其中 {data.dropped} 行没有留下任何回答，已略去",
            )
        )
    return found


def _log_ends(data: Encoded, tokenizer: Any, report: Report) -> None:
    begin, end = tokenizer.bos_token or "none", tokenizer.eos_token
    if data.trains_end:
        report.log(
            both(
                f"begin token {begin}; end token {end} is trained: yes",
                f"起始词元 {begin}；结束词元 {end} 参与训练：是",
            ),
            LEVEL,
        )
        return
    report.log(
        both(
            f"begin token {begin}; end token is trained: no, the tokenizer has none, "
            "so answers may not end",
            f"起始词元 {begin}；结束词元参与训练：否，分词器没有结束词元，回答可能停不下来",
        ),
        "warning",
    )
