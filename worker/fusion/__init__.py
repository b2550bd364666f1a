"""The fusion engine: adapters in, one adapter out, by the method that the spec names."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from shared.orders import WorkOrder
from shared.specs import (
    Copy,
    CrossLora,
    Distil,
    FusionSpec,
    Procrustes,
    ProLora,
    Refresh,
    Ridge,
    WeightedSum,
)
from shared.specs.base import Spec
from shared.specs.fusion.arrow import Arrow
from shared.specs.fusion.averages import ModelStock, Slerp
from shared.specs.fusion.compression import CompressThenMerge, LoraLego
from shared.specs.fusion.learned import AlphaSearch, LoraHub, LoraSoups
from shared.specs.fusion.method import Transfer
from shared.specs.fusion.noise import Noise
from shared.specs.fusion.regmean import RegMean
from shared.specs.fusion.sparse import Sce
from shared.specs.fusion.spectral import IsoC, IsoCts, TsvMerge
from shared.specs.fusion.star import Star
from shared.specs.fusion.warm_start import WarmStart
from shared.specs.fusion.wudi import Wudi
from worker.admission import look_through
from worker.checkpoints import write_facts
from worker.fusion.arrow import arrow
from worker.fusion.averages import model_stock, slerp
from worker.fusion.compression import compress_then_merge
from worker.fusion.copy import copy
from worker.fusion.distil import distil
from worker.fusion.inheritance import inherited
from worker.fusion.learned import alpha_search, lora_soups, lorahub
from worker.fusion.lego import lora_lego
from worker.fusion.noise import noise
from worker.fusion.probing import probe_bases
from worker.fusion.proxy import preview_facts
from worker.fusion.refresh import refresh
from worker.fusion.regmean import regmean
from worker.fusion.sparse import RULES, sparse
from worker.fusion.spectral import iso_c, iso_cts, tsv_m
from worker.fusion.star import star
from worker.fusion.subspaces import project
from worker.fusion.transport import transport
from worker.fusion.warm_start import warm_start
from worker.fusion.weighted_sum import weighted_sum
from worker.fusion.wudi import wudi
from worker.reporting import AdapterResult, Report

#: One function for each parameters class of `shared.specs.FUSION_METHODS`.
METHODS: dict[type[Spec], Callable[[WorkOrder, Any, Report], AdapterResult]] = {
    WeightedSum: weighted_sum,
    Arrow: arrow,
    **dict.fromkeys((*RULES, Sce), sparse),
    ModelStock: model_stock,
    Slerp: slerp,
    TsvMerge: tsv_m,
    IsoC: iso_c,
    IsoCts: iso_cts,
    CompressThenMerge: compress_then_merge,
    LoraLego: lora_lego,
    Wudi: wudi,
    Star: star,
    AlphaSearch: alpha_search,
    LoraHub: lorahub,
    LoraSoups: lora_soups,
    RegMean: regmean,
    Copy: copy,
    Noise: noise,
    Refresh: refresh,
    Distil: distil,
    WarmStart: warm_start,
    Procrustes: transport,
    Ridge: transport,
    CrossLora: project,
    ProLora: project,
}


def fuse(order: WorkOrder, report: Report) -> AdapterResult:
    """Run the fusion of the order; the adapter is in `order.out`, ready for plain PEFT.

    Raises NoOp when the result would change nothing, WrongBase, UnsupportedAdapter, and Stopped
    when the report asks to stop.
    """
    if not isinstance(order.spec, FusionSpec):
        raise TypeError(f"fuse needs a FusionSpec, not {type(order.spec).__name__}")
    look_through(order, report)
    params = order.spec.params
    probed: dict[str, Any] = {}
    if isinstance(params, Transfer) and params.probe != "off" and order.base and order.adapters:
        depth = "weights" if params.probe == "weights" else "full"
        probed = {"probe": asdict(probe_bases(order, depth, report))}
        if params.probe == "preview":
            probed |= preview_facts(order, report)
    made = METHODS[type(params)](order, params, report)
    made.facts = {
        "method": params.method,
        "rank": made.rank,
        **(
            {"base": order.base.name, "base_fingerprint": order.base.fingerprint}
            if order.base
            else {}
        ),
        **inherited(order.adapters),
        **probed,
        **made.facts,
    }
    write_facts(made.folder, made.facts)
    return made
