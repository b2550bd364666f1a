"""What holds of every method on one base: identity, order, gauge, scale, and plain PEFT loads."""

import json
from pathlib import Path
from typing import Any

import pytest

from donors import Dense, fused, gauged, random_donor, read, run, times, write_donors
from fusions import fusion_order, load, logits, relative, with_added
from shared.errors import NoOp, WrongCount
from shared.specs import FUSION_METHODS
from shared.specs.fusion.same_base import SameBase, Weighted
from worker.fusion import fuse
from worker.reporting import Silent, Stopped

#: Ways of calling methods beside their defaults.
VARIANTS: dict[str, dict[str, Any]] = {
    "weighted_sum at rank 3": {"rank": 3}, "ties by count": {"election": "count"},
    "ties in knots": {"space": "knots"}, "ties in core": {"space": "core"},
    "ties at rank 3": {"space": "knots", "rank": 3}, "dare in core": {"space": "core"},
    "della in knots": {"space": "knots", "election": "none"},
    "breadcrumbs in core": {"space": "core", "election": "sum"}, "sce in core": {"space": "core"},
    "tsv_m half": {"keep": 0.5}, "iso_cts": {"common": 0.5},
    "compress_then_merge by ties": {"rule": "ties", "density": 0.6},
}  # fmt: skip
#: Every method on one base that needs no data, and the variants.
CASES = {
    name: {}
    for name, method in FUSION_METHODS.items()
    if issubclass(method, SameBase) and "dataset" not in method.model_fields
} | VARIANTS
#: Parameters with which one adapter alone is left as it is.
WHOLE = {"density": 1.0, "keep": 1.0, "epsilon": 0.0, "outliers": 0.0, "rank": 0}
#: Iso-C and Iso-CTS flatten the spectrum of a single adapter too; that is what they are for.
FLATTENING = {"iso_c", "iso_cts"}
DONORS = {
    "a": random_donor(1, 4),
    "b": random_donor(2, 3),
    "c": random_donor(3, 4, modules={"model.layers.0.self_attn.q_proj": (64, 64)}),
}


def params(case: str, **more: Any) -> dict[str, Any]:
    return {"method": case.split()[0], **CASES[case], **more}


def declared(case: str) -> type:
    return FUSION_METHODS[case.split()[0]]


def same(found: Dense, wanted: Dense, within: float = 1e-5) -> None:
    assert found.keys() == wanted.keys()
    for module, update in wanted.items():
        assert relative(found[module], update) < within, module


@pytest.mark.parametrize("case", [case for case in CASES if case not in FLATTENING])
def test_one_adapter_gives_itself(case: str, tmp_path: Path) -> None:
    known = declared(case).model_fields
    whole = {name: value for name, value in WHOLE.items() if name in known}
    found = fused(params(case) | whole, {"a": DONORS["a"]}, tmp_path)
    same(found, {module: factors.delta() for module, factors in DONORS["a"].items()})


@pytest.mark.parametrize("case", CASES)
def test_the_order_of_the_adapters_changes_nothing(case: str, tmp_path: Path) -> None:
    weights = {"a": 0.5, "b": 0.2, "c": 0.3}
    found = []
    for order in ("abc", "cab", "bca"):
        own = {"weights": [weights[name] for name in order]}
        chosen = own if issubclass(declared(case), Weighted) else {}
        donors = {name: DONORS[name] for name in order}
        found.append(fused(params(case, **chosen), donors, tmp_path / order))
    same(found[1], found[0])
    same(found[2], found[0])


@pytest.mark.parametrize("case", CASES)
def test_other_factors_of_the_same_updates_change_nothing(case: str, tmp_path: Path) -> None:
    rotated = {name: gauged(donor, seed) for seed, (name, donor) in enumerate(DONORS.items())}
    same(fused(params(case), rotated, tmp_path / "r"), fused(params(case), DONORS, tmp_path), 1e-4)


@pytest.mark.parametrize("case", CASES)
def test_larger_adapters_give_an_adapter_larger_by_as_much(case: str, tmp_path: Path) -> None:
    larger = {name: times(donor, 3.0) for name, donor in DONORS.items()}
    plain = fused(params(case), DONORS, tmp_path / "plain")
    wanted = {module: 3 * update for module, update in plain.items()}
    same(fused(params(case), larger, tmp_path), wanted, 1e-4)


@pytest.mark.parametrize("case", CASES)
def test_plain_peft_loads_it_and_gives_the_logits_of_its_dense_updates(
    case: str, tmp_path: Path, tiny_llama: Path
) -> None:
    made = run(params(case), DONORS, tmp_path)
    wanted = logits(with_added(tiny_llama, read(made.folder)))
    assert relative(logits(load(tiny_llama, made.folder)), wanted) < 1e-5
    assert relative(logits(load(tiny_llama)), wanted) > 1e-4
    assert made.rank == max(each["rank"] for each in made.facts["modules"].values())


@pytest.mark.parametrize("case", [case for case in CASES if "rank" in case or case in ("ties",)])
def test_what_a_rank_drops_is_reported(case: str, tmp_path: Path) -> None:
    whole = fused(params(case) | {"rank": 160}, DONORS, tmp_path / "whole")
    made = run(params(case) | {"rank": 2}, DONORS, tmp_path)
    found = read(made.folder)
    assert made.rank == 2
    for module, update in whole.items():
        lost = float((found[module] - update).square().sum() / update.square().sum())
        assert made.facts["modules"][module]["dropped_energy"] == pytest.approx(lost, rel=1e-3)


@pytest.mark.parametrize(
    "method", [name for name, each in FUSION_METHODS.items() if issubclass(each, Weighted)]
)
def test_a_wrong_number_of_weights_is_refused(method: str, tmp_path: Path) -> None:
    known = FUSION_METHODS[method].model_fields
    data = {"dataset": "examples"} if "dataset" in known else {}
    with pytest.raises(WrongCount, match="3 weights"):
        run({"method": method, "weights": [1.0], **data}, DONORS, tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_adapters_that_change_nothing_are_refused(case: str, tmp_path: Path) -> None:
    zero = {name: times(donor, 0.0) for name, donor in DONORS.items()}
    with pytest.raises(NoOp, match="one factor is zero"):
        run(params(case), zero, tmp_path)


def test_a_method_stops_when_asked(tmp_path: Path) -> None:
    report = Silent()
    report.stop = True
    order = fusion_order(params("ties"), write_donors(DONORS, tmp_path), tmp_path, tmp_path / "job")
    with pytest.raises(Stopped):
        fuse(order, report)


@pytest.mark.parametrize(("asked", "wanted"), [(0, 16), (5, 8), (16, 16)])
def test_the_vllm_profile_has_one_allowed_rank_and_no_patterns(
    asked: int, wanted: int, tmp_path: Path, tiny_llama: Path
) -> None:
    given = {"method": "weighted_sum", "profile": "vllm", "rank": asked}
    made = run(given, DONORS, tmp_path)
    config = json.loads((made.folder / "adapter_config.json").read_text())
    assert (config["r"], config["rank_pattern"], config["alpha_pattern"]) == (wanted, {}, {})
    exact = fused({"method": "weighted_sum", "rank": asked and wanted}, DONORS, tmp_path / "e")
    same(read(made.folder), exact)
    assert relative(logits(load(tiny_llama, made.folder)), logits(load(tiny_llama))) > 1e-4
