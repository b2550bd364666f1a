"""Fused adapters, loaded by plain PEFT, against PEFT's own dense updates added by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fusions import base_files, deltas, dense_sum, fusion_order, load, logits, relative, with_added
from shared.errors import NoOp, UnsupportedAdapter, WrongBase, WrongCount
from tiny_bases import write_adapter
from worker.fusion import fuse
from worker.reporting import Silent, Stopped

#: Adapters that differ in everything PEFT 0.21's own add_weighted_adapter stumbles over.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"rank": 4, "alpha": 8},
    "wide": {"rank": 9, "alpha": 3, "seed": 1},
    "rslora": {"rank": 8, "alpha": 4, "seed": 2, "use_rslora": True},
    "patterned": {
        "rank": 4, "seed": 3, "rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.down_proj": 7},
        "alpha_pattern": {"v_proj": 32, r".*\.0\.mlp\.up_proj": 1},
    },
    "narrow": {"rank": 3, "seed": 4, "targets": ["q_proj", "v_proj"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def adapters(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {name: write_adapter(tiny_llama, folder / name, **how) for name, how in KINDS.items()}


@pytest.mark.dense_reference("weighted_sum")
@pytest.mark.parametrize(
    ("names", "weights"),
    [
        (["plain"], [1.0]),
        (["rslora"], [-0.7]),
        (["plain", "wide"], [0.5, 0.5]),
        (["plain", "rslora"], [1.0, 2.0]),
        (["patterned", "narrow"], [0.3, -1.5]),
        (list(KINDS), [0.2, 0.4, -0.6, 0.8, 1.0]),
    ],
    ids=lambda value: "+".join(map(str, value)),
)
def test_plain_peft_loads_the_exact_weighted_sum(
    tiny_llama: Path,
    adapters: dict[str, Path],
    tmp_path: Path,
    names: list[str],
    weights: list[float],
):
    params = {"method": "weighted_sum", "weights": weights}
    chosen = {name: adapters[name] for name in names}
    made = fuse(fusion_order(params, chosen, tiny_llama, tmp_path), Silent())

    wanted = dense_sum([deltas(tiny_llama, adapters[name]) for name in names], weights)
    found = deltas(tiny_llama, made.folder)
    assert found.keys() == wanted.keys()
    for module, delta in wanted.items():
        assert relative(found[module], delta) < 1e-5, module
    by_hand = logits(with_added(tiny_llama, wanted))
    assert relative(logits(load(tiny_llama, made.folder)), by_hand) < 1e-5
    assert made.rank == max(each["rank"] for each in made.facts["modules"].values())
    assert made.facts["dropped_energy"] < 1e-12


def test_no_weights_share_alike(tiny_llama: Path, adapters: dict[str, Path], tmp_path: Path):
    chosen = {name: adapters[name] for name in ("plain", "wide", "rslora")}
    made = fuse(fusion_order({"method": "weighted_sum"}, chosen, tiny_llama, tmp_path), Silent())
    wanted = dense_sum([deltas(tiny_llama, path) for path in chosen.values()], [1 / 3] * 3)
    for module, delta in deltas(tiny_llama, made.folder).items():
        assert relative(delta, wanted[module]) < 1e-5


def test_a_chosen_rank_drops_exactly_the_energy_it_reports(
    tiny_llama: Path, adapters: dict[str, Path], tmp_path: Path
):
    params = {"method": "weighted_sum", "weights": [1.0, 1.0], "rank": 5}
    chosen = {name: adapters[name] for name in ("wide", "narrow")}
    made = fuse(fusion_order(params, chosen, tiny_llama, tmp_path), Silent())
    wanted = dense_sum([deltas(tiny_llama, path) for path in chosen.values()], [1.0, 1.0])
    found = deltas(tiny_llama, made.folder)
    lost = total = 0.0
    for module, delta in wanted.items():
        sigma = torch.linalg.svdvals(delta)
        energy, optimum = float(sigma.square().sum()), float(sigma[5:].square().sum())
        facts = made.facts["modules"][module]
        assert facts["rank"] == 5
        assert facts["dropped_energy"] == pytest.approx(optimum / energy, abs=1e-6)
        error = float((found[module] - delta).square().sum())
        assert error == pytest.approx(optimum, rel=1e-4)
        lost, total = lost + optimum, total + energy
    assert made.rank == 5
    assert made.facts["dropped_energy"] == pytest.approx(lost / total, abs=1e-6)
    assert made.facts["norm"] == pytest.approx(total**0.5, rel=1e-6)


def test_each_module_reports_who_took_part(
    tiny_llama: Path, adapters: dict[str, Path], tmp_path: Path
):
    chosen = {name: adapters[name] for name in ("plain", "narrow")}
    report = Silent()
    made = fuse(fusion_order({"method": "weighted_sum"}, chosen, tiny_llama, tmp_path), report)
    modules = made.facts["modules"]
    assert modules["model.layers.0.self_attn.q_proj"]["ranks"] == {"plain": 4, "narrow": 3}
    assert modules["model.layers.0.mlp.up_proj"]["ranks"] == {"plain": 4}
    assert modules["model.layers.0.mlp.up_proj"]["shape"] == [160, 64]
    assert report.done == (len(modules), len(modules), "modules")
    assert "fusing" in report.phases


def test_an_adapter_of_another_base_is_refused(
    tiny_llama: Path, tiny_glm: Path, adapters: dict[str, Path], tmp_path: Path
):
    order = fusion_order({"method": "weighted_sum"}, adapters, tiny_llama, tmp_path)
    stranger = order.adapters[1].model_copy(update={"base": base_files(tiny_glm)})
    order.adapters[1] = stranger
    with pytest.raises(WrongBase, match=r'"wide" was trained on "tiny-glm", not on "tiny-llama"'):
        fuse(order, Silent())


def test_one_weight_for_two_adapters_is_refused(
    tiny_llama: Path, adapters: dict[str, Path], tmp_path: Path
):
    chosen = {name: adapters[name] for name in ("plain", "wide")}
    params = {"method": "weighted_sum", "weights": [1.0]}
    with pytest.raises(WrongCount, match="2 weights, but 1 were given"):
        fuse(fusion_order(params, chosen, tiny_llama, tmp_path), Silent())


def test_weights_that_cancel_are_a_no_op(
    tiny_llama: Path, adapters: dict[str, Path], tmp_path: Path
):
    chosen = {"plain": adapters["plain"], "twin": adapters["plain"]}
    params = {"method": "weighted_sum", "weights": [1.0, -1.0]}
    with pytest.raises(NoOp, match=r"NO-OP: the weighted updates cancel .*1 of plain, -1 of twin"):
        fuse(fusion_order(params, chosen, tiny_llama, tmp_path), Silent())
    assert not list(tmp_path.glob("out/adapter_model*"))


@pytest.mark.parametrize(
    ("weight", "why"), [(0.0, "every weighted update is zero"), (1.0, "one factor is zero")]
)
def test_nothing_to_add_is_a_no_op(tiny_llama: Path, tmp_path: Path, weight: float, why: str):
    folder = write_adapter(tiny_llama, tmp_path / "adapter", scale=1.0 - weight)
    params = {"method": "weighted_sum", "weights": [weight]}
    with pytest.raises(NoOp, match=why):
        fuse(fusion_order(params, {"a": folder}, tiny_llama, tmp_path), Silent())


def test_modules_that_cancel_are_left_out_of_a_sum_that_does_not(
    tiny_llama: Path, adapters: dict[str, Path], tmp_path: Path
):
    tensors = load_file(adapters["narrow"] / "adapter_model.safetensors")
    for key in tensors:
        if "layers.1.self_attn.q_proj.lora_B" in key:
            tensors[key] *= 3
    changed = tmp_path / "changed"
    changed.mkdir()
    save_file(tensors, changed / "adapter_model.safetensors")
    (changed / "adapter_config.json").write_bytes(
        (adapters["narrow"] / "adapter_config.json").read_bytes()
    )
    params = {"method": "weighted_sum", "weights": [1.0, -1.0]}
    chosen = {"changed": changed, "narrow": adapters["narrow"]}
    made = fuse(fusion_order(params, chosen, tiny_llama, tmp_path), Silent())
    assert set(deltas(tiny_llama, made.folder)) == {"model.layers.1.self_attn.q_proj"}
    assert made.facts["modules"]["model.layers.0.self_attn.q_proj"]["rank"] == 0


def test_adapters_of_other_sizes_are_refused_by_module(
    tiny_llama: Path, adapters: dict[str, Path], tmp_path: Path
):
    folder = tmp_path / "odd"
    folder.mkdir()
    tensors = load_file(adapters["narrow"] / "adapter_model.safetensors")
    odd = {key: value[..., :-1].contiguous() if "lora_A" in key else value
           for key, value in tensors.items()}  # fmt: skip
    save_file(odd, folder / "adapter_model.safetensors")
    config = (adapters["narrow"] / "adapter_config.json").read_bytes()
    (folder / "adapter_config.json").write_bytes(config)
    chosen = {"narrow": adapters["narrow"], "odd": folder}
    with pytest.raises(UnsupportedAdapter, match=r'"odd".*q_proj \(64x63.*made for another base'):
        fuse(fusion_order({"method": "weighted_sum"}, chosen, tiny_llama, tmp_path), Silent())


def test_a_fusion_stops_when_asked_and_leaves_no_weights(
    tiny_llama: Path, adapters: dict[str, Path], tmp_path: Path
):
    report = Silent()
    report.stop = True
    order = fusion_order({"method": "weighted_sum"}, adapters, tiny_llama, tmp_path)
    with pytest.raises(Stopped):
        fuse(order, report)
    assert not [path for path in order.out.rglob("*") if path.is_file()]
