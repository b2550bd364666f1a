"""Reading adapters: what is refused, with which words, and that nothing is silently dropped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from fusions import deltas, relative
from shared.errors import UnsupportedAdapter
from tiny_bases import write_adapter
from worker.fusion.canonical import CanonicalAdapter

Tensors = dict[str, torch.Tensor]
Q = "base_model.model.model.layers.1.self_attn.q_proj.lora_"


@pytest.fixture
def adapter(tiny_llama: Path, tmp_path: Path) -> Path:
    return write_adapter(tiny_llama, tmp_path / "adapter", targets=["q_proj"])


def edit(folder: Path, change: Callable[[Tensors], object]) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def configure(folder: Path, **settings: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def test_factors_with_their_scale_are_pefts_own_update(tiny_llama: Path, tmp_path: Path):
    folder = write_adapter(
        tiny_llama, tmp_path / "a", rank=6, alpha=5, use_rslora=True,
        rank_pattern={"k_proj": 2}, alpha_pattern={"up_proj": 1},
    )  # fmt: skip
    reader = CanonicalAdapter("a", folder)
    wanted = deltas(tiny_llama, folder)
    assert reader.modules.keys() == wanted.keys()
    for module, delta in wanted.items():
        factors = reader.factors(module)
        assert relative(factors.delta(), delta) < 1e-6
        assert factors.shape == reader.modules[module].shape == tuple(delta.shape)
        assert factors.rank == reader.modules[module].rank


def test_layers_come_in_the_order_of_the_model(adapter: Path):
    def add_layer_ten(tensors: Tensors) -> None:
        for half in "AB":
            tensors[f"{Q.replace('.1.', '.10.')}{half}.weight"] = tensors[f"{Q}{half}.weight"] + 0

    edit(adapter, add_layer_ten)
    layers = [name.split(".")[2] for name in CanonicalAdapter("a", adapter).modules]
    assert layers == ["0", "1", "10"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"lora_bias": True}, "lora_bias"),
        ({"bias": "all"}, "bias=all"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights=pissa changed the base"),
        ({"init_lora_weights": "olora"}, "init_lora_weights=olora"),
        ({"alora_invocation_tokens": [3]}, "aLoRA"),
        ({"peft_type": "IA3"}, "of type IA3"),
        ({"r": 5}, r"ranks 4 and 4, adapter_config.json says 5"),
    ],
)
def test_what_factors_cannot_express_is_refused(
    adapter: Path, settings: dict[str, Any], words: str
):
    configure(adapter, **settings)
    with pytest.raises(UnsupportedAdapter, match=rf'Adapter "mine" cannot be read: .*{words}'):
        CanonicalAdapter("mine", adapter)


@pytest.mark.parametrize("half", ["A", "B"])
def test_half_a_pair_is_refused_by_name(adapter: Path, half: str):
    edit(adapter, lambda tensors: tensors.pop(f"{Q}{half}.weight"))
    wanted = rf"model\.layers\.1\.self_attn\.q_proj has lora_. but no lora_{half}"
    with pytest.raises(UnsupportedAdapter, match=wanted):
        CanonicalAdapter("mine", adapter)


@pytest.mark.parametrize(
    "key",
    [
        "base_model.model.lm_head.weight",
        "base_model.model.model.embed_tokens.lora_embedding_A",
        "base_model.model.model.layers.1.self_attn.q_proj.lora_magnitude_vector",
        "base_model.model.model.layers.1.self_attn.q_proj.lora_B.bias",
    ],
)
def test_a_tensor_that_is_no_factor_is_refused_by_name(adapter: Path, key: str):
    edit(adapter, lambda tensors: tensors.update({key: torch.ones(4)}))
    with pytest.raises(UnsupportedAdapter, match=key.replace(".", r"\.")):
        CanonicalAdapter("mine", adapter)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused_by_module(adapter: Path, value: float):
    edit(adapter, lambda tensors: tensors[f"{Q}B.weight"].view(-1)[3:4].fill_(value))
    reader = CanonicalAdapter("mine", adapter)
    with pytest.raises(UnsupportedAdapter, match=r"layers\.1\.self_attn\.q_proj holds NaN"):
        reader.factors("model.layers.1.self_attn.q_proj")


def test_a_pickle_is_refused_unopened(adapter: Path):
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(b"would run code")
    with pytest.raises(UnsupportedAdapter, match=r"pickle \(adapter_model.bin\).*safetensors"):
        CanonicalAdapter("mine", adapter)


def test_a_cut_file_is_refused(adapter: Path):
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UnsupportedAdapter, match=r"adapter_model.safetensors is damaged"):
        CanonicalAdapter("mine", adapter)


def test_missing_and_broken_settings_are_refused(adapter: Path):
    (adapter / "adapter_config.json").write_text("{")
    with pytest.raises(UnsupportedAdapter, match="not valid JSON"):
        CanonicalAdapter("mine", adapter)
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(UnsupportedAdapter, match=r"holds no adapter_config\.json"):
        CanonicalAdapter("mine", adapter)


def test_a_convolution_is_refused(adapter: Path):
    def square(tensors: Tensors) -> None:
        tensors[f"{Q}A.weight"] = tensors[f"{Q}A.weight"][..., None, None].contiguous()

    edit(adapter, square)
    with pytest.raises(UnsupportedAdapter, match="is not a linear module"):
        CanonicalAdapter("mine", adapter)
