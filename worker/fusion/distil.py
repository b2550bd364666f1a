"""Delta distillation: the donor answers prompts, the host learns how its adapter moves the logits.

Works with one vocabulary exactly and with two by the bytes that their tokens share (see
`vocabularies`). Cost: one generation; then a training whose steps also run the donor twice and
the host once without gradients. Both bases are in memory while it trains.
"""

from typing import Any

from shared.errors import TwoVocabularies, both
from shared.orders import WorkOrder
from shared.specs import Distil
from worker.architectures import tokenizer_of
from worker.checkpoints import load_base
from worker.evaluation.reading import reading_limit
from worker.fusion.distillation import Distillation, Lesson, lesson
from worker.fusion.starting import moved_start
from worker.fusion.teaching import Taught, ask, learn, load_donor
from worker.fusion.vocabularies import Bridge
from worker.reporting import AdapterResult, Report
from worker.training.examples import encode


def distil(order: WorkOrder, params: Distil, report: Report) -> AdapterResult:
    """Train an adapter of the order's host base on its donor's change, into `order.out`.

    A later attempt continues from `order.resume_from`: with the answers, or with the training.
    Raises NoAnswers, NoOp, Stopped, TwoVocabularies where they forbid the target, BadBase for a
    tokenizer whose bytes cannot be told, and what loading and training raise.
    """
    if params.target == "donor":
        _need_one_vocabulary(order)
    taught = ask(order, params, report)
    assert order.base is not None
    start = None if params.start == "fresh" else moved_start(order, params, params.start, report)
    report.phase("loading donor")
    donor, donor_tokenizer = load_donor(order, params)
    report.phase("loading base")
    model, tokenizer = load_base(order.base, order.device, params.precision)
    bridge = Bridge(donor_tokenizer, tokenizer, model.device)
    reach = reading_limit(donor) or params.max_length
    lessons = _lessons(taught, bridge, donor_tokenizer, tokenizer, params.max_length, reach)
    facts = _facts(bridge, lessons)
    report.log(
        both(
            f"{facts['taught_share']:.1%} of the answers' tokens have a target from the donor's "
            f"logits ({facts['alignment']}); the others learn the text",
            f"回答中 {facts['taught_share']:.1%} 的词元以供体的 logit 为目标"
            f"（{facts['alignment']}），其余学习文本",
        )
    )
    objective = Distillation(donor, bridge, lessons, params.strength, params.target)
    made = learn(
        order, params, taught, (model, tokenizer), report, objective=objective, start=start
    )
    made.facts |= facts
    return made


def _need_one_vocabulary(order: WorkOrder) -> None:
    """Told before anything is loaded or generated. Raises TwoVocabularies."""
    bases = [order.adapters[0].base, order.base] if order.adapters and order.base else []
    words = [tokenizer_of(base.location).get_vocab() for base in bases]
    if bases and words[0] != words[1]:
        raise TwoVocabularies(donor=bases[0].name, host=bases[1].name)


def _lessons(
    taught: Taught, bridge: Bridge, donor: Any, host: Any, max_length: int, reach: int
) -> dict[tuple[int, ...], Lesson]:
    """Every example's lesson, by the example's ids."""
    found: dict[tuple[int, ...], Lesson] = {}
    for row in taught.rows:
        ours = encode([row], host, taught.template, max_length).examples
        theirs = encode([row], donor, taught.template, 1 << 40).examples
        for example in ours:
            found[example.ids] = lesson(example, theirs[0], bridge, reach)
    return found


def _facts(bridge: Bridge, lessons: dict[tuple[int, ...], Lesson]) -> dict[str, Any]:
    places = [place for each in lessons.values() for place in each.places]
    return {
        "alignment": "one vocabulary" if bridge.shared else "bytes",
        "tokens_in_common": bridge.exact,
        "taught_share": sum(place >= 0 for place in places) / max(1, len(places)),
    }
