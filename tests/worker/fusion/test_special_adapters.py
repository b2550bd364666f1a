"""DoRA, trained biases and whole saved modules: fused with their effect whole, or refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fusions import base_files, dense_sum, fusion_order, load, logits, relative, with_added
from shared.errors import InvalidSpec, UnsupportedAdapter
from shared.orders import WorkOrder
from tiny_bases import make_llama, write_adapter
from worker.fusion import fuse
from worker.fusion.canonical import CanonicalAdapter
from worker.reporting import AdapterResult, Silent

Tensors = dict[str, torch.Tensor]
SUM = {"method": "weighted_sum"}
HEAD = "base_model.model.lm_head.weight"


def edit(folder: Path, change: Callable[[Tensors], object]) -> Path:
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    return folder


def order(base: Path, folder: Path, params: dict[str, Any], **adapters: Path) -> WorkOrder:
    return fusion_order(params, adapters, base, folder)


def run(base: Path, folder: Path, params: dict[str, Any], **adapters: Path) -> AdapterResult:
    return fuse(order(base, folder, params, **adapters), Silent())


@pytest.fixture(scope="module")
def dora(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DoRA adapter whose magnitudes moved, too."""
    folder = write_adapter(tiny_llama, tmp_path_factory.mktemp("dora") / "dora", use_dora=True)

    def move(tensors: Tensors) -> None:
        generator = torch.Generator().manual_seed(5)
        for key in tensors:
            if "magnitude" in key:
                tensors[key] *= 1 + 0.1 * torch.randn(tensors[key].shape, generator=generator)

    return edit(folder, move)


def test_dora_at_full_rank_is_the_adapter_itself(tiny_llama: Path, dora: Path, tmp_path: Path):
    made = run(tiny_llama, tmp_path, SUM | {"dora_rank": 64}, dora=dora)
    wanted = logits(load(tiny_llama, dora))
    assert relative(logits(load(tiny_llama, made.folder)), wanted) < 1e-5
    assert relative(logits(load(tiny_llama)), wanted) > 1e-2
    assert made.facts["dora_dropped"]["dora"] < 1e-9


def test_dora_is_summed_with_plain_adapters(tiny_llama: Path, dora: Path, tmp_path: Path):
    plain = write_adapter(tiny_llama, tmp_path / "plain", seed=7)
    weights = {"weights": [0.4, 0.6]}
    made = run(tiny_llama, tmp_path, SUM | weights, dora=dora, plain=plain)
    merged = load(tiny_llama, dora).merge_and_unload().state_dict()
    bare = load(tiny_llama).state_dict()
    added = load(tiny_llama, plain).merge_and_unload().state_dict()
    wanted = load(tiny_llama)
    moved = {key: bare[key] + 0.4 * (merged[key] - bare[key]) + 0.6 * (added[key] - bare[key])
             for key in bare}  # fmt: skip
    wanted.load_state_dict(moved)
    assert relative(logits(load(tiny_llama, made.folder)), logits(wanted)) < 1e-5


def test_what_cutting_dora_loses_is_reported(tiny_llama: Path, dora: Path, tmp_path: Path):
    made = run(tiny_llama, tmp_path, SUM | {"dora_rank": 6}, dora=dora)
    whole = load(tiny_llama, dora).merge_and_unload().state_dict()
    bare = load(tiny_llama).state_dict()
    fused = CanonicalAdapter("fused", made.folder)
    lost = []
    for module in fused.modules:
        exact = (whole[f"{module}.weight"] - bare[f"{module}.weight"]).double()
        gap = (fused.factors(module).delta() - exact).square().sum() / exact.square().sum()
        lost.append(float(gap))
    assert made.facts["dora_dropped"]["dora"] == pytest.approx(max(lost), rel=1e-3)
    assert max(lost) > 0.05


@pytest.mark.parametrize("how", ["no files", "not wanted"])
def test_dora_without_the_base_is_refused(how: str, tiny_llama: Path, dora: Path, tmp_path: Path):
    params = SUM | ({"dora_rank": 0} if how == "not wanted" else {})
    wanted = order(tiny_llama, tmp_path, params, dora=dora)
    if how == "no files":
        bare = base_files(tmp_path / "nowhere")
        donor = wanted.adapters[0].model_copy(update={"base": bare})
        wanted = wanted.model_copy(update={"adapters": [donor], "base": bare})
    with pytest.raises(UnsupportedAdapter, match=r"DoRA rescales .* needs the base's files"):
        fuse(wanted, Silent())


def biased(base: Path, folder: Path, seed: int) -> Path:
    """An adapter with trained biases; PEFT itself warns when it saves one."""
    written = write_adapter(base, folder, seed=seed, alpha=12.0)

    def fill(tensors: Tensors) -> None:
        generator = torch.Generator().manual_seed(seed)
        for key, value in list(tensors.items()):
            if key.endswith("lora_B.weight"):
                bias = torch.randn(len(value), generator=generator)
                tensors[key.replace("weight", "bias")] = bias

    config = json.loads((written / "adapter_config.json").read_text())
    (written / "adapter_config.json").write_text(json.dumps(config | {"lora_bias": True}))
    return edit(written, fill)


@pytest.mark.filterwarnings("ignore:.lora_bias=True. was passed")
def test_trained_biases_are_summed_with_their_scale(tiny_llama: Path, tmp_path: Path):
    paths = [biased(tiny_llama, tmp_path / "a", 1), biased(tiny_llama, tmp_path / "b", 2)]
    plain = write_adapter(tiny_llama, tmp_path / "c", targets=["q_proj"])
    weights = [0.5, -0.3, 1.0]
    given = SUM | {"weights": weights}
    made = run(tiny_llama, tmp_path, given, a=paths[0], b=paths[1], c=plain)

    updates = []
    for path in (*paths, plain):
        tensors = load_file(path / "adapter_model.safetensors")
        scale = 2.0 if path == plain else 3.0
        stems = [key.removesuffix(".lora_A.weight") for key in tensors if key.endswith("A.weight")]
        updates.append({
            stem.removeprefix("base_model.model."):
                scale * (tensors[f"{stem}.lora_B.weight"] @ tensors[f"{stem}.lora_A.weight"])
            for stem in stems
        })  # fmt: skip
    wanted = with_added(tiny_llama, dense_sum(updates, weights))
    for path, weight in zip(paths, weights, strict=False):
        for key, bias in load_file(path / "adapter_model.safetensors").items():
            if key.endswith("lora_B.bias"):
                name = key.removeprefix("base_model.model.").removesuffix(".lora_B.bias")
                part = wanted.get_submodule(name)
                before = 0 if part.bias is None else part.bias.data
                part.bias = torch.nn.Parameter(before + 3.0 * weight * bias)
    assert relative(logits(load(tiny_llama, made.folder)), logits(wanted)) < 1e-5


def test_the_vllm_profile_has_no_place_for_biases(tiny_llama: Path, tmp_path: Path):
    path = biased(tiny_llama, tmp_path / "a", 1)
    with pytest.raises(UnsupportedAdapter, match="lora_bias adds trained biases"):
        run(tiny_llama, tmp_path, SUM | {"profile": "vllm"}, a=path)


def with_head(base: Path, folder: Path, seed: int) -> Path:
    """An adapter that brings a trained output head."""
    written = write_adapter(base, folder, seed=seed, modules_to_save=["lm_head"])

    def train(tensors: Tensors) -> None:
        generator = torch.Generator().manual_seed(seed)
        tensors[HEAD] = torch.randn(tensors[HEAD].shape, generator=generator)

    return edit(written, train)


@pytest.fixture(scope="module")
def heads(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("heads")
    plain = write_adapter(tiny_llama, folder / "plain")
    return {name: with_head(tiny_llama, folder / name, seed) for seed, name in enumerate("ab")} | {
        "plain": plain
    }


@pytest.mark.parametrize(
    ("params", "shares"),
    [
        ({"saved_modules": "average", "weights": [0.6, 0.2, 0.2]}, {"a": 0.75, "b": 0.25}),
        ({"saved_modules": "pick", "saved_from": "b"}, {"b": 1.0}),
    ],
)
def test_saved_modules_are_averaged_or_picked_and_peft_loads_them(
    params: dict[str, Any], shares: dict[str, float], tiny_llama: Path, heads: dict[str, Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    made = run(tiny_llama, tmp_path, SUM | params, **heads)
    stored = {name: load_file(heads[name] / "adapter_model.safetensors")[HEAD] for name in shares}
    wanted = sum(share * stored[name] for name, share in shares.items())
    found = load(tiny_llama, made.folder).merge_and_unload()
    assert relative(found.lm_head.weight, torch.as_tensor(wanted)) < 1e-6
    assert made.facts["saved_modules"] == {"lm_head.weight": list(shares)}


def test_saved_modules_are_never_dropped_silently(
    tiny_llama: Path, heads: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedAdapter, match=r"modules_to_save replaces .*saved_modules"):
        run(tiny_llama, tmp_path, SUM, **heads)
    with pytest.raises(UnsupportedAdapter, match="vllm profile has no place for modules_to_save"):
        run(tiny_llama, tmp_path, SUM | {"saved_modules": "average", "profile": "vllm"}, **heads)
    with pytest.raises(InvalidSpec, match="pick needs one of the adapters: a, b, plain"):
        run(tiny_llama, tmp_path, SUM | {"saved_modules": "pick", "saved_from": "zz"}, **heads)


def test_an_adapter_with_half_its_modules_elsewhere_is_refused(tiny_llama: Path, tmp_path: Path):
    narrow = make_llama(tmp_path / "narrow", intermediate_size=96)
    folder = write_adapter(narrow, tmp_path / "strange")
    # 3 of a layer's 7 modules have another size in the wider base.
    words = r"6 of its 14 modules have other sizes .*gate_proj \(96x64, .*: 160x64\).*another base"
    with pytest.raises(UnsupportedAdapter, match=words):
        run(tiny_llama, tmp_path / "job", SUM, strange=folder)
