"""Transfer by text: the donor with its adapter answers prompts, a new adapter of the host learns.

Source: Trans-LoRA (Wang et al. 2024, arXiv 2405.17258), here with given prompts and the donor's
greedy or sampled text as labels, which needs no shared tokenizer; with the donor's own training
prompts it is Refresh-D (UpgradeBench, arXiv 2608.20918). Cost: one generation, one training;
donor and host are never in memory together.
"""

from shared.orders import WorkOrder
from shared.specs import Refresh
from worker.checkpoints import load_base
from worker.fusion.teaching import ask, learn
from worker.reporting import AdapterResult, Report


def refresh(order: WorkOrder, params: Refresh, report: Report) -> AdapterResult:
    """Train an adapter of the order's host base on its donor's answers, into `order.out`.

    A later attempt continues from `order.resume_from`: with the answers, or with the training.
    Raises NoAnswers, NoOp, Stopped, and what loading and training raise.
    """
    taught = ask(order, params, report)
    assert order.base is not None
    report.phase("loading base")
    loaded = load_base(order.base, order.device, params.precision)
    return learn(order, params, taught, loaded, report)
