"""Ask a base model which of two answers is better, in both orders, by the likelihood of A and B.

Nothing is generated: the judge's word is the likelier of the two letters that may follow its
question, so every model answers every pair and no answer has to be parsed.
"""

from collections.abc import Sequence

import torch

from shared.benchmarks import ChoiceItem
from shared.errors import both
from shared.formats import Turn
from shared.orders import WorkOrder
from shared.specs import JudgeSpec
from shared.verdicts import VERDICTS, Asked, Verdict, read_asked, write_rows
from worker.checkpoints import load_base
from worker.evaluation import choice
from worker.evaluation.budget import tokens_at_once
from worker.evaluation.reading import Reader, end_tokens, reading_limit
from worker.evaluation.scoring import packing_fits
from worker.evaluation.tasks import Arm
from worker.judging.saving import Verdicts
from worker.judging.wording import LETTERS, question
from worker.reporting import Report, Stopped

#: Pairs between two looks at whether to stop.
AT_ONCE = 64


def judge(order: WorkOrder, report: Report) -> list[Verdict]:
    """Judge the pairs of `order.dataset`; write the verdicts to `order.out` and return them.

    A pair that the judge cannot read whole is left out, and the log says how many were. Raises
    NotFinite where the model yields NaN, and Stopped, with what was judged as a checkpoint.
    """
    spec = order.spec
    if not isinstance(spec, JudgeSpec) or order.base is None or order.dataset is None:
        raise TypeError("judging needs a JudgeSpec, a base and a file of pairs")
    pairs = read_asked(order.dataset.path)
    report.phase("loading base")
    model, tokenizer = load_base(order.base, order.device, spec.precision)
    limit = reading_limit(model)
    reader = Reader(tokenizer, spec.template, order.dataset.name, limit, 1)
    with torch.inference_mode():
        packed = packing_fits(model)
    arm = Arm(
        model, tokenizer, end_tokens(tokenizer, model), packed,
        max(64, tokens_at_once(model) >> order.halvings), 1,
    )  # fmt: skip
    read = [pair for pair in pairs if _fits(pair, reader)]
    if left := len(pairs) - len(read):
        report.log(
            both(
                f"{left} of {len(pairs)} pairs are longer than the judge reads ({limit} tokens) "
                "and are left out",
                f"{len(pairs)} 对中有 {left} 对超过裁判可读长度（{limit} 个词元），已略去",
            ),
            "warning",
        )
    report.phase("judging")
    verdicts = Verdicts(order, report)
    for start in range(len(verdicts.said), len(read), AT_ONCE):
        verdicts.add(_judged(read[start : start + AT_ONCE], reader, arm))
        report.progress(len(verdicts.said), len(read), "pairs")
        if report.stop_requested():
            verdicts.save()
            raise Stopped
    write_rows(order.out / VERDICTS, verdicts.said)
    return verdicts.said


def _fits(pair: Asked, reader: Reader) -> bool:
    """Whether the whole question can be read, in either order (they are nearly as long)."""
    if reader.limit is None:
        return True
    longest = max(
        len(reader.conversation([Turn("user", question(pair, turned))], pair.lang))
        for turned in (False, True)
    )
    return longest + reader.frame.size + 1 <= reader.limit


def _judged(pairs: Sequence[Asked], reader: Reader, arm: Arm) -> list[Verdict]:
    items = [
        ChoiceItem(
            id=f"{place}", lang="zh" if pair.lang == "zh" else "en", choices=list(LETTERS),
            answer=0, prompt=question(pair, turned),
        )
        for place, pair in enumerate(pairs)
        for turned in (False, True)
    ]  # fmt: skip
    with torch.inference_mode():
        [rows] = choice.prepare(items, reader).run(arm, lambda items, tokens: None)
    margins = [row.values["margin"] for row in rows]
    return [
        Verdict(
            benchmark=pair.benchmark, item_hash=pair.item_hash, first=pair.first,
            second=pair.second, margins=(margins[2 * place], margins[2 * place + 1]),
        )
        for place, pair in enumerate(pairs)
    ]  # fmt: skip
