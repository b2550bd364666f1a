"""Weights moved by a map, then trained on a few labelled rows of the task.

LoRASuite (arXiv 2505.13515) maps by the embeddings of shared tokens and by attention heads and then
trains on 100 examples; here the maps are those of `transport` or `copy`. Cost: that transfer and
one short training. It uses labels, so it is to be compared with a fresh adapter of the same labels.
"""

import random

from shared.alpaca import read_rows
from shared.errors import WrongCount
from shared.orders import WorkOrder
from shared.specs.fusion.warm_start import WarmStart
from worker.checkpoints import load_base
from worker.fusion.inheritance import inherited
from worker.fusion.starting import moved_start
from worker.reporting import AdapterResult, Report
from worker.training import train_adapter
from worker.training.place import place_of


def warm_start(order: WorkOrder, params: WarmStart, report: Report) -> AdapterResult:
    """Move the order's donor to its host base, then train it there, into `order.out`.

    A later attempt continues from `order.resume_from`. Raises WrongCount, and what the transfer,
    reading, loading and training raise.
    """
    if len(order.adapters) != 1 or order.base is None or order.dataset is None:
        given = len(order.adapters)
        raise WrongCount(method=params.method, wanted="one adapter", given=given)
    donor = order.adapters[0]
    start = moved_start(order, params, params.start, report)
    report.phase("loading base")
    loaded = load_base(order.base, order.device, params.precision)
    rows = read_rows(order.dataset.path)
    if 0 < params.labels < len(rows):
        picked = random.Random(params.seed).sample(range(len(rows)), params.labels)
        rows = [rows[number] for number in sorted(picked)]
    template = str(inherited(order.adapters)["template"])
    learns = f"{params.method} from {params.start}"
    place = place_of(order, donor=f"{donor.name} of {donor.base.fingerprint}", method=learns)
    made = train_adapter(*loaded, rows, params, template, place, report, start=start)
    made.facts |= {"labels": len(rows), "training_minutes": made.facts["seconds"] / 60}
    return made
