"""The ceiling of the transfer study: proxy-tuning, the donor's change added while scoring.

Nothing is trained or moved: the host's logits plus (donor with adapter - donor) score the test
items (Liu et al. 2024, arXiv 2401.08565), three models in memory. Where the tokenizers do not begin
a token together the host's own logits stand.
"""

import math
from typing import Any

import torch
from torch import Tensor

from benchmarks.transfer_arms import Setting
from shared.alpaca import Row
from shared.orders import AdapterFiles, BaseFiles
from shared.specs import TrainingSpec, parse_spec
from worker.checkpoints import attach_adapter, load_base
from worker.evaluation.reading import reading_limit
from worker.fusion.distillation import Distillation, lesson
from worker.fusion.vocabularies import Bridge
from worker.training.adapter import fresh_adapter
from worker.training.batches import collate
from worker.training.examples import encode

_BATCH = 32


def proxy_values(
    setting: Setting, items: list[dict[str, Any]], rows: list[Row], donor: AdapterFiles,
    host: BaseFiles,
) -> list[dict[str, float]]:  # fmt: skip
    """Per item what the evaluation gives: accuracy of choices, or bits and bytes of answers."""
    endings = [list(item["choices"]) if "choices" in item else [""] for item in items]
    texts = [
        {"instruction": item["prompt"], "input": "", "output": ending.strip()} if ending else row
        for item, row, each in zip(items, rows, endings, strict=True)
        for ending in each
    ]
    scores = iter(_scores(setting, texts, donor, host))
    found = []
    for item, row, each in zip(items, rows, endings, strict=True):
        values = [next(scores) for _ in each]
        if "choices" in item:
            best = values[item["answer"]]
            rest = values[: item["answer"]] + values[item["answer"] + 1 :]
            found.append({"accuracy": float(best > max(rest))})
        else:
            size = float(len(row["output"].encode()))
            found.append({"bits": -values[0] / math.log(2), "bytes": size})
    return found


@torch.no_grad()
def _scores(
    setting: Setting, texts: list[Row], donor: AdapterFiles, host: BaseFiles
) -> list[float]:
    """Log-likelihood of every row's output, without the end token."""
    teacher, theirs = load_base(donor.base, setting.device, "auto")
    teacher = attach_adapter(teacher, donor.folder, name="donor")
    model, ours = load_base(host, setting.device, "auto")
    # Distillation reads the host with its adapter off; a fresh one gives it something to put off.
    rank_one = parse_spec(
        {"kind": "train", "name": "a", "base_model": host.name, "dataset": "none", "rank": 1}
    )
    assert isinstance(rank_one, TrainingSpec)
    model = fresh_adapter(model, rank_one, host.name).eval()
    bridge = Bridge(theirs, ours, model.device)
    reach = reading_limit(teacher) or 1 << 30
    examples = encode(texts, ours, "auto", 1 << 30).examples
    read = encode(texts, theirs, "auto", 1 << 30).examples
    lessons = {
        own.ids: lesson(own, other, bridge, reach)
        for own, other in zip(examples, read, strict=True)
    }
    objective = Distillation(teacher, bridge, lessons, 1.0)
    found: list[float] = []
    order = sorted(range(len(examples)), key=lambda place: len(examples[place].ids))
    scores: dict[int, float] = {}
    for first in range(0, len(order), _BATCH):
        places = order[first : first + _BATCH]
        batch = collate([examples[place] for place in places], 0, model.device)
        target, taught = objective.targets(model, batch)
        logp = torch.zeros(len(batch.targets), device=model.device)
        logp[taught] = target.gather(1, batch.targets[taught][:, None])[:, 0]
        if not bool(taught.all()):
            logp[~taught] = _own(model, batch)[~taught]
        parts: list[Tensor] = list(logp.split([examples[place].labels for place in places]))
        for place, part in zip(places, parts, strict=True):
            scores[place] = float(part[:-1].sum())
    found = [scores[place] for place in range(len(examples))]
    return found


def _own(model: Any, batch: Any) -> Tensor:
    """The host's own log-probabilities of the labels."""
    with model.disable_adapter():
        logits = model(input_ids=batch.input_ids, use_cache=False).logits
    chosen = logits.flatten(0, 1)[batch.places].float().log_softmax(-1)
    return chosen.gather(1, batch.targets[:, None])[:, 0]
