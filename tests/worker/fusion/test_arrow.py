"""Arrow routing: PEFT's own router gives the same logits, and one adapter is itself."""

import json
from pathlib import Path

import pytest
import torch
from peft import ArrowConfig, create_arrow_model

from donors import Donor, gauged, run, times, write_donors
from fusions import base_files, deltas, dense_sum, load, logits, relative
from shared.errors import NoOp, UnsupportedAdapter
from shared.orders import AdapterFiles
from worker.checkpoints import attach_adapter, detach_adapter
from worker.evaluation.arms import Arms
from worker.fusion.arrow import EXPERTS, direction
from worker.fusion.canonical import CanonicalAdapter
from worker.fusion.factors import Factors

#: Singular values with one far above the others, which power iteration finds too.
SHARP = torch.tensor([16.0, 4.0, 2.0])
#: PEFT's router wants a module in every layer or in none.
SHAPES = {
    f"model.layers.{layer}.{name}": shape
    for layer in (0, 1)
    for name, shape in (("self_attn.q_proj", (64, 64)), ("mlp.down_proj", (64, 160)))
}


def sharp(seed: int) -> Donor:
    """Random updates of those singular values."""
    generator = torch.Generator().manual_seed(seed)

    def directions(size: int) -> torch.Tensor:
        return torch.linalg.qr(torch.randn(size, 3, generator=generator))[0]

    return {
        name: Factors(directions(out) * SHARP, directions(width).T)
        for name, (out, width) in SHAPES.items()
    }


DONORS = {"a": sharp(1), "b.2": sharp(2), "c": sharp(3)}
PARAMS = {"method": "arrow", "top_k": 2, "temperature": 0.5}


def routed_logits(base: Path, folder: Path) -> torch.Tensor:
    return logits(attach_adapter(load(base), folder))


@pytest.mark.dense_reference("arrow")
def test_pefts_own_router_gives_the_same_logits(tiny_llama: Path, tmp_path: Path) -> None:
    made = run(PARAMS, DONORS, tmp_path)
    paths = [str(made.folder / EXPERTS / name) for name in made.facts["experts"]]
    config = ArrowConfig(top_k=2, router_temperature=0.5, rng_seed=0)
    theirs = create_arrow_model(load(tiny_llama), paths, config).eval()
    found = routed_logits(tiny_llama, made.folder)
    assert relative(found, logits(theirs)) < 1e-4
    # Unrouted, by plain PEFT, the same folder is the mean.
    mean = load(tiny_llama, made.folder)
    assert relative(logits(mean), found) > 1e-3
    parts = [deltas(tiny_llama, path) for path in write_donors(DONORS, tmp_path / "d").values()]
    for module, wanted in dense_sum(parts, [1 / 3] * 3).items():
        assert relative(deltas(tiny_llama, made.folder)[module], wanted) < 1e-5


def test_one_adapter_routed_is_itself(tiny_llama: Path, tmp_path: Path) -> None:
    made = run(PARAMS, {"a": DONORS["a"]}, tmp_path)
    [path] = write_donors({"a": DONORS["a"]}, tmp_path / "d").values()
    assert relative(routed_logits(tiny_llama, made.folder), logits(load(tiny_llama, path))) < 1e-5


def test_neither_order_nor_factors_change_what_is_routed(tiny_llama: Path, tmp_path: Path) -> None:
    plain = routed_logits(tiny_llama, run(PARAMS, DONORS, tmp_path / "a").folder)
    turned = {name: gauged(donor, 3) for name, donor in reversed(DONORS.items())}
    found = routed_logits(tiny_llama, run(PARAMS, turned, tmp_path / "b").folder)
    assert relative(found, plain) < 1e-4


def test_the_direction_is_the_first_right_singular_vector() -> None:
    update = DONORS["a"]["model.layers.1.mlp.down_proj"]
    wanted = torch.linalg.svd(update.delta())[2][0]
    assert abs(float(direction(update).double() @ wanted)) == pytest.approx(1, abs=1e-6)


def test_an_arm_is_judged_routed_beside_plain_ones(tiny_llama: Path, tmp_path: Path) -> None:
    made = run(PARAMS, DONORS, tmp_path)
    base = base_files(tiny_llama)
    [plain] = write_donors({"a": DONORS["a"]}, tmp_path / "d").values()
    adapters = [
        AdapterFiles(name=name, folder=folder, base=base)
        for name, folder in (("routed", made.folder), ("plain", plain))
    ]
    arms = Arms(load(tiny_llama), None, adapters)
    assert arms.passes() == [["base"], ["plain"], ["routed"]]
    with arms.switched_to("routed") as (model, stack):
        assert stack is None
        assert relative(logits(model), routed_logits(tiny_llama, made.folder)) < 1e-6
    with arms.switched_to("plain") as (model, stack):
        assert stack is not None
        stack.rows(torch.zeros(3, dtype=torch.long))
        assert relative(logits(model), logits(load(tiny_llama, plain))) < 1e-5


def test_taken_off_it_leaves_the_base_as_it_was(tiny_llama: Path, tmp_path: Path) -> None:
    model = load(tiny_llama)
    bare = logits(model)
    adapted = attach_adapter(model, run(PARAMS, DONORS, tmp_path).folder)
    assert torch.equal(logits(detach_adapter(adapted)), bare)


def test_adapters_without_updates_and_routes_that_do_not_fit_are_refused(
    tiny_llama: Path, tmp_path: Path
) -> None:
    zero = {name: times(donor, 0.0) for name, donor in DONORS.items()}
    with pytest.raises(NoOp, match="one factor is zero"):
        run(PARAMS, zero, tmp_path / "zero")
    made = run(PARAMS, DONORS, tmp_path)
    with pytest.raises(UnsupportedAdapter, match="Arrow routes between adapters at run time"):
        CanonicalAdapter("routed", made.folder)
    routes = json.loads((made.folder / "arrow.json").read_text())
    routes["ranks"] = {name: [1, 1, 1] for name in routes["ranks"]}
    (made.folder / "arrow.json").write_text(json.dumps(routes))
    with pytest.raises(UnsupportedAdapter, match=r"arrow\.json.*do not fit"):
        attach_adapter(load(tiny_llama), made.folder)
