"""Whole transfers by weights beside dense implementations that share no code with the engine."""

import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from fusions import deltas, fusion_order, load, relative
from shared.orders import DataFile
from shared.templates import render
from tiny_bases import make_llama, write_adapter
from worker.fusion import fuse
from worker.reporting import Silent

#: NumPy's own types say less than they need to here.
Array = Any


def prompts() -> list[str]:
    """Words of many letters, so that activations span their spaces."""
    draw = np.random.default_rng(0)
    letters = list(string.ascii_letters + string.digits)
    return ["".join(draw.choice(letters, 24)) for _ in range(40)]


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaMA of another width, with the tiny LLaMA's tokenizer."""
    shape = {"hidden_size": 48, "intermediate_size": 112, "num_attention_heads": 3}
    folder = tmp_path_factory.mktemp("bases") / "narrow"
    return make_llama(folder, seed=5, num_key_value_heads=1, **shape)


@pytest.fixture(scope="module")
def adapter(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tiny_llama, tmp_path_factory.mktemp("adapters") / "a", rank=3)


def moved(params: dict[str, Any], base: Path, host: Path, adapter: Path, folder: Path) -> Any:
    """The dense updates on the host after the engine's transfer."""
    path = folder / "prompts.json"
    rows = [{"instruction": prompt, "input": "", "output": "x"} for prompt in prompts()]
    path.write_text(json.dumps(rows), encoding="utf-8")
    order = fusion_order(
        {"probe": "off", **params}, {"a": adapter}, base, folder / "job", host=host,
        dataset=DataFile(name="rows", path=path, sha256="-"),
    )  # fmt: skip
    facts = {"template": "alpaca-en"}
    order.adapters = [order.adapters[0].model_copy(update={"facts": facts})]
    return deltas(host, fuse(order, Silent()).folder)


def flows(base: Path, modules: list[str]) -> tuple[dict[str, Array], dict[str, Array], Array]:
    """Inputs and outputs of modules at every token after the prompts' common beginning, by plain
    transformers one prompt at a time; and which of these places are held out (each fifth prompt).
    """
    texts = [render("alpaca-en", prompt) for prompt in prompts()]
    differ = (len({*letters}) > 1 for letters in zip(*texts, strict=False))
    common = next(place for place, here in enumerate(differ) if here)
    tokenizer, model = AutoTokenizer.from_pretrained(base), load(base)
    given: dict[str, list[Array]] = {name: [] for name in modules}
    made: dict[str, list[Array]] = {name: [] for name in modules}
    last: dict[str, tuple[Array, Array]] = {}
    for name in modules:
        model.get_submodule(name).register_forward_hook(
            lambda _, x, y, name=name: last.update({name: (x[0][0].numpy(), y[0].numpy())})
        )
    held: list[bool] = []
    for number, text in enumerate(texts):
        tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        after = np.array([False] + [end > common for _, end in tokens["offset_mapping"]])
        with torch.no_grad():
            model(input_ids=torch.tensor([[tokenizer.bos_token_id, *tokens["input_ids"]]]))
        for name in modules:
            given[name].append(last[name][0][after])
            made[name].append(last[name][1][after])
        held += [number % 5 == 0] * int(after.sum())
    return (
        {name: np.concatenate(parts).astype(float) for name, parts in given.items()},
        {name: np.concatenate(parts).astype(float) for name, parts in made.items()},
        np.array(held),
    )


def orthogonal(source: Array, target: Array, rank: int) -> Array:
    """The scaled semi-orthogonal map as a target×source matrix, over so many directions.

    By the polar factor of X_Tᵀ·X_S through the square root of its Gram matrix.
    """
    cross = target.T @ source
    values, vectors = np.linalg.eigh(cross.T @ cross)
    root, kept = np.sqrt(values[-rank:]), vectors[:, -rank:]
    return cross @ (kept / root) @ kept.T * root.sum() / np.sum(source**2)


def unsure(source: Array, target: Array, rank: int) -> float:
    """How far the polar factor may be off: float32 noise over its narrowest singular value.

    Another processor rounds the activations differently, and nearly flat directions amplify that.
    """
    values = np.linalg.svd(target.T @ source, compute_uv=False)
    return 1e-5 + 1e-8 * values[0] / values[rank - 1]


def regression(source: Array, target: Array, penalty: float) -> Array:
    """Ridge by stacked rows: plain least squares with √λ·I below."""
    weight = np.sqrt(penalty * np.mean(np.sum(source**2, axis=0)))
    rows = np.concatenate([source, weight * np.eye(source.shape[1])])
    zeros = np.zeros((source.shape[1], target.shape[1]))
    return np.linalg.lstsq(rows, np.concatenate([target, zeros]), rcond=None)[0].T


@pytest.mark.dense_reference("procrustes")
def test_procrustes_transport_is_its_formula_on_dense_updates(
    tiny_llama: Path, narrow: Path, adapter: Path, tmp_path: Path
) -> None:
    params = {"method": "procrustes", "dataset": "rows", "scale": 0.5, "least_r2": -1000.0}
    found = moved(params, tiny_llama, narrow, adapter, tmp_path)
    donor = deltas(tiny_llama, adapter)
    assert found.keys() == donor.keys()
    (x, y, held), (to_x, to_y, _) = (flows(base, list(donor)) for base in (tiny_llama, narrow))
    for name, delta in donor.items():
        # gate and up write 160 and 112 numbers, but only as many dimensions as they read: 48.
        rank = min(48, *delta.shape, *found[name].shape)
        out = orthogonal(y[name][~held], to_y[name][~held], rank)
        narrower = min(x[name].shape[1], to_x[name].shape[1])
        back = orthogonal(to_x[name][~held], x[name][~held], narrower)
        wanted = 0.5 * out @ delta.numpy() @ back
        bound = unsure(y[name][~held], to_y[name][~held], rank)
        bound += unsure(to_x[name][~held], x[name][~held], narrower)
        assert relative(found[name], torch.from_numpy(wanted)) < bound, name


@pytest.mark.dense_reference("ridge")
def test_ridge_transport_is_its_formula_on_dense_updates(
    tiny_llama: Path, narrow: Path, adapter: Path, tmp_path: Path
) -> None:
    """Regressing x·ΔW_Sᵀ on the host's inputs is regressing the bottleneck: it is linear."""
    params = {"method": "ridge", "dataset": "rows", "penalty": 0.01, "least_r2": -1000.0}
    found = moved(params, tiny_llama, narrow, adapter, tmp_path)
    donor = deltas(tiny_llama, adapter)
    assert found.keys() == donor.keys()
    (x, y, held), (to_x, to_y, _) = (flows(base, list(donor)) for base in (tiny_llama, narrow))
    for name, delta in donor.items():
        out = regression(y[name][~held], to_y[name][~held], 0.01)
        effect = regression(to_x[name][~held], x[name][~held] @ delta.numpy().T, 0.01)
        assert relative(found[name], torch.from_numpy(out @ effect)) < 1e-3, name


@pytest.mark.dense_reference("cross_lora")
def test_cross_lora_is_its_formula_on_dense_updates(
    tiny_llama: Path, narrow: Path, adapter: Path, tmp_path: Path
) -> None:
    """Signs of singular vectors are arbitrary, and the result hangs on them: one routine's."""
    params = {"method": "cross_lora", "subspace": 12, "scale": 0.5}
    found = moved(params, tiny_llama, narrow, adapter, tmp_path)
    donor, (theirs, ours) = deltas(tiny_llama, adapter), (load(tiny_llama), load(narrow))
    assert found.keys() == donor.keys()
    for name, delta in donor.items():
        (u, v), (to_u, to_v) = (leading(model, name, 12) for model in (theirs, ours))
        wanted = 0.5 * to_u @ u.T @ delta @ v @ to_v.T
        assert relative(found[name], wanted) < 1e-4, name


@pytest.mark.dense_reference("pro_lora")
def test_pro_lora_is_its_formula_on_dense_updates(
    tiny_llama: Path, adapter: Path, tmp_path: Path
) -> None:
    host = make_llama(tmp_path / "host", seed=5)
    found = moved({"method": "pro_lora", "subspace": 12}, tiny_llama, host, adapter, tmp_path)
    donor, (theirs, ours) = deltas(tiny_llama, adapter), (load(tiny_llama), load(host))
    assert found.keys() == donor.keys()
    for name, delta in donor.items():
        (u, v), (to_u, to_v) = (leading(model, name, 12) for model in (theirs, ours))
        one, other = torch.eye(len(u)).double(), torch.eye(len(v)).double()
        inside = to_u @ to_u.T @ u @ u.T @ delta @ v @ v.T @ to_v @ to_v.T
        outside = (one - to_u @ to_u.T) @ (one - u @ u.T) @ delta
        outside = outside @ (other - v @ v.T) @ (other - to_v @ to_v.T)
        assert relative(found[name], inside + outside) < 1e-4, name


def leading(model: Any, module: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    u, _, vh = torch.linalg.svd(model.get_submodule(module).weight.detach().double(), False)
    return u[:, :size], vh[:size].T
