"""Delta distillation: the donor answers prompts, the host learns how its adapter moves the logits.

Works with one vocabulary exactly and with two by the bytes that their tokens share (see
`vocabularies`). Cost: one generation; then a training whose steps also run the donor twice and
the host once without gradients. Both bases are in memory while it trains.
"""

from typing import Any

from shared.orders import WorkOrder
from shared.specs import Copy, Distil, Procrustes, Ridge
from worker.checkpoints import load_base
from worker.evaluation.reading import reading_limit
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.copy import copy
from worker.fusion.distillation import Distillation, Lesson, lesson
from worker.fusion.factors import compressed
from worker.fusion.teaching import Taught, ask, learn, load_donor
from worker.fusion.transport import transport
from worker.fusion.vocabularies import Bridge
from worker.reporting import AdapterResult, Report
from worker.training.adapter import Start
from worker.training.examples import encode


def distil(order: WorkOrder, params: Distil, report: Report) -> AdapterResult:
    """Train an adapter of the order's host base on its donor's change, into `order.out`.

    A later attempt continues from `order.resume_from`: with the answers, or with the training.
    Raises NoAnswers, NoOp, Stopped, BadBase for a tokenizer whose bytes cannot be told, and what
    loading and training raise.
    """
    taught = ask(order, params, report)
    assert order.base is not None
    start = _start(order, params, report)
    report.phase("loading donor")
    donor, donor_tokenizer = load_donor(order, params)
    report.phase("loading base")
    model, tokenizer = load_base(order.base, order.device, params.precision)
    bridge = Bridge(donor_tokenizer, tokenizer, model.device)
    reach = reading_limit(donor) or params.max_length
    lessons = _lessons(taught, bridge, donor_tokenizer, tokenizer, params.max_length, reach)
    facts = _facts(bridge, lessons)
    report.log(
        f"{facts['taught_share']:.1%} of the answers' tokens have a target from the donor's logits "
        f"({facts['alignment']}); the others learn the text"
    )
    objective = Distillation(donor, bridge, lessons, params.strength)
    made = learn(
        order, params, taught, (model, tokenizer), report, objective=objective, start=start
    )
    made.facts |= facts
    return made


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


def _start(order: WorkOrder, params: Distil, report: Report) -> Start | None:
    """The donor's weights moved to the host, cut to the rank in training."""
    if params.start == "fresh" or order.resume_from is not None:
        return None
    folder = order.folder / "start"
    inner = order.model_copy(update={"folder": folder})
    if params.start == "copy":
        made = copy(inner, Copy(resize="pad"), report)
    else:
        kind = {"procrustes": Procrustes, "ridge": Ridge}[params.start]
        made = transport(inner, kind(dataset=params.dataset, rows=params.rows), report)
    moved = CanonicalAdapter(params.start, made.folder)
    cut = {name: compressed(moved.factors(name), params.rank) for name in moved.modules}
    return {name: (each.b, each.a) for name, each in cut.items()}
