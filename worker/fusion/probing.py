"""What can be known of a transfer before it: how alike two bases are, and which route that allows.

The weights of matched modules (their cosine tells a continuation from an independent training),
the tokens both tokenizers have, and where texts are given the CKA and the held-out R² of a ridge
map between matched layers' outputs. Cost: a dozen matrices from each base's files; with texts one
forward pass of both bases. A recommendation, no verdict: that needs an evaluation and controls.
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor
from transformers import AutoTokenizer

from shared.alpaca import read_rows
from shared.errors import Both, both
from shared.orders import AdapterFiles, WorkOrder
from worker.checkpoints import load_base
from worker.fusion.activations import Paired, pair_texts
from worker.fusion.base_weights import BaseWeights
from worker.fusion.inheritance import inherited
from worker.fusion.maps import cka, explained, ridge
from worker.fusion.module_map import Landing, layer_map, map_modules
from worker.fusion.structure import structure_of
from worker.reporting import Report

Route = Literal["COPY", "TRANSPORT", "REFRESH", "RETRAIN"]
#: Matrices compared, spread over the depth.
_COMPARED = 12
#: Cosine of matched weights from which a host counts as a continuation: independent trainings
#: of one shape lie at 0.
CONTINUATION = 0.8
#: Mean held-out R² of the layers from which maps of activations are worth a try.
_MAPPABLE = 0.7
#: Prompts and places of text that a full probe reads.
_PROMPTS, _PLACES, _PENALTY = 64, 2048, 0.01


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What was found, and what it recommends."""

    same_base: bool
    #: Share of the host's tokens that the donor's tokenizer has too; 1.0 and `one_vocabulary`
    #: where both are the same.
    tokens_in_common: float
    one_vocabulary: bool
    #: Projections of the donor's base, those with one of the same size in the host, and mean
    #: cosine and distance ‖W_T - W_S‖/‖W_S‖ of the weights compared; None where none were.
    projections: int
    same_size: int
    cosine: float | None = None
    distance: float | None = None
    #: By host layer, between its output and that of the donor's layer at the same depth.
    cka: list[float] = field(default_factory=list)
    r2: list[float] = field(default_factory=list)
    route: Route = "RETRAIN"
    why: str = ""
    cost: str = ""


COSTS: dict[Route, Both] = {
    "COPY": both("one pass over the adapter's file; no data", "读一遍适配器文件；无需数据"),
    "TRANSPORT": both(
        "a forward pass of both bases for each layer, some thousand tokens; no labels",
        "每层让两个底座各前向一次，数千词元；无需标注",
    ),
    "REFRESH": both(
        "the donor answers the prompts once, then one training on the host; no labels",
        "供体把提示回答一遍，再在宿主上训练一次；无需标注",
    ),
    "RETRAIN": both("one training on the host, with labels", "在宿主上训练一次，需要标注"),
}


def probe_bases(order: WorkOrder, depth: Literal["weights", "full"], report: Report) -> Probe:
    """Look at the order's donor base and host base; the log gets the recommendation.

    `full` needs `order.dataset` and both bases in memory; without a dataset it is `weights`.
    Raises BadBase.
    """
    assert order.base is not None
    report.phase("probing bases")
    source = order.adapters[0]
    offered, host = structure_of(source.base), structure_of(order.base)
    found = map_modules(offered, host, "refuse")
    landings = [each for group in found.landings.values() for each in group]
    one, share = _vocabularies(source, order)
    cosine, distance = _weights(source, order, landings)
    likeness = _likeness(order, source) if depth == "full" and order.dataset else ([], [])
    probe = Probe(
        same_base=source.base.fingerprint == order.base.fingerprint, one_vocabulary=one,
        tokens_in_common=share, projections=len(offered.slots), same_size=len(landings),
        cosine=cosine, distance=distance, cka=likeness[0], r2=likeness[1],
    )  # fmt: skip
    route, why = recommended(probe, prompts=_has_prompts(order, source))
    probe = replace(probe, route=route, why=why["en"], cost=COSTS[route]["en"])
    report.log(
        both(
            f"probe recommends {route}: {why['en']}. Cost: {COSTS[route]['en']}",
            f"探测建议 {route}：{why['zh']}。代价：{COSTS[route]['zh']}",
        )
    )
    return probe


def recommended(probe: Probe, *, prompts: bool) -> tuple[Route, Both]:
    """A route and its reason. `prompts`: whether there are any that the donor could answer."""
    if probe.same_base:
        return "COPY", both("host and donor have the same base", "宿主与供体是同一底座")
    cosine = probe.cosine
    alike = cosine is not None and cosine >= CONTINUATION
    if alike and probe.same_size == probe.projections:
        return "COPY", both(
            f"the host continues the donor's base (cosine of weights {cosine:.2f})",
            f"宿主是供体底座的延续（权重余弦 {cosine:.2f}）",
        )
    apart = _apart(probe, alike)
    r2 = sum(probe.r2) / len(probe.r2) if probe.r2 else 0.0
    if prompts:
        return "REFRESH", both(
            f"{apart['en']}, and there are prompts for the donor to answer",
            f"{apart['zh']}，且有提示可供供体回答",
        )
    if r2 >= _MAPPABLE:
        return "TRANSPORT", both(
            f"{apart['en']}, but maps explain {r2:.0%} of the layers' outputs",
            f"{apart['zh']}，但映射能解释各层输出的 {r2:.0%}",
        )
    return "RETRAIN", both(
        f"{apart['en']}, and no prompts of the donor's are known",
        f"{apart['zh']}，也没有供体的提示",
    )


def _apart(probe: Probe, alike: bool) -> Both:
    """Why the weights themselves cannot be taken."""
    if probe.cosine is None:
        return both("no module has the size of the donor's", "没有与供体同样大小的模块")
    if alike:
        return both(
            f"only {probe.same_size} of {probe.projections} projections match in size",
            f"{probe.projections} 个投影中只有 {probe.same_size} 个大小相同",
        )
    return both(
        f"matched weights are unrelated (cosine {probe.cosine:.2f})",
        f"对应的权重互不相关（余弦 {probe.cosine:.2f}）",
    )


def _has_prompts(order: WorkOrder, source: AdapterFiles) -> bool:
    return order.dataset is not None or bool(source.facts.get("dataset"))


def _vocabularies(source: AdapterFiles, order: WorkOrder) -> tuple[bool, float]:
    assert order.base is not None
    theirs, ours = (
        AutoTokenizer.from_pretrained(base.location, trust_remote_code=False).get_vocab()
        for base in (source.base, order.base)
    )
    return theirs == ours, len(theirs.keys() & ours.keys()) / len(ours)


def _weights(
    source: AdapterFiles, order: WorkOrder, landings: Sequence[Landing]
) -> tuple[float | None, float | None]:
    """Mean cosine and relative distance of some matched weights; None where no files are here."""
    assert order.base is not None
    theirs, ours = BaseWeights(source.base), BaseWeights(order.base)
    if not (landings and theirs.at_hand and ours.at_hand):
        return None, None
    step = max(1, len(landings) // _COMPARED)
    cosines, distances = [], []
    for each in landings[::step]:
        one = _rows(theirs.weight(each.donor.module), each.donor.start, each.donor.rows)
        other = _rows(ours.weight(each.host.module), each.host.start, each.host.rows)
        cosines.append(float((one * other).sum() / (one.norm() * other.norm())))
        distances.append(float((other - one).norm() / one.norm()))
    return sum(cosines) / len(cosines), sum(distances) / len(distances)


def _rows(weight: Tensor, start: int, rows: int) -> Tensor:
    return weight[start : start + rows]


def _likeness(order: WorkOrder, source: AdapterFiles) -> tuple[list[float], list[float]]:
    """By host layer CKA and held-out R² against the donor's layer at the same depth."""
    assert order.base is not None
    assert order.dataset is not None
    rows = read_rows(order.dataset.path)[:_PROMPTS]
    template = str(inherited(order.adapters)["template"])
    theirs = load_base(source.base, order.device, "auto")
    ours = load_base(order.base, order.device, "auto")
    paired = pair_texts(theirs, ours, rows, template, _PLACES)
    donor, host = layer_outputs(paired)
    fit = ~paired.held_out.to(host[0].device)
    alike, r2 = [], []
    for layer, depth in enumerate(layer_map(len(donor), len(host))):
        mapped = ridge(donor[depth][fit], host[layer][fit], _PENALTY)
        alike.append(cka(donor[depth], host[layer]))
        r2.append(explained(donor[depth][~fit] @ mapped.T, host[layer][~fit]))
    del theirs, ours
    gc.collect()
    return alike, r2


@torch.inference_mode()
def layer_outputs(paired: Paired) -> tuple[list[Tensor], list[Tensor]]:
    """What every layer of donor and host puts out at the paired places, (n, width) each, fp32."""
    outputs: list[list[Tensor]] = []
    for reading in (paired.donor, paired.host):
        parts = [
            [state[rows, columns].float() for state in made.hidden_states[1:]]
            for ids, rows, columns in reading.rows()
            for made in [reading.model(input_ids=ids, use_cache=False, output_hidden_states=True)]
        ]
        outputs.append([torch.cat(layer) for layer in zip(*parts, strict=True)])
    return outputs[0], outputs[1]
