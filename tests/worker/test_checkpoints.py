"""Bases and adapters load completely or not at all."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, PeftModelForCausalLM
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from shared.errors import BadBase, InvalidSpec, NoOp, UnsupportedAdapter
from shared.orders import BaseFiles
from tiny_bases import make_llama, write_adapter
from worker.checkpoints import (
    attach_adapter,
    detach_adapter,
    linear_targets,
    load_base,
    logit_change,
    probe_logits,
    resolve_precision,
    save_adapter,
)


def files(folder: Path) -> BaseFiles:
    return BaseFiles(name=folder.name, location=str(folder), fingerprint="f")


def load(folder: Path) -> Any:
    return load_base(files(folder), "cpu", "fp32")[0]


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def test_a_base_comes_frozen_and_without_dropout(tiny_llama: Path) -> None:
    model, tokenizer = load_base(files(tiny_llama), "cpu", "auto")
    assert not any(weight.requires_grad for weight in model.parameters())
    assert not model.training
    assert model.dtype == torch.float32
    assert tokenizer.decode(tokenizer("你好")["input_ids"]) == "你好"


def test_auto_precision_is_bf16_on_a_gpu_and_fp32_on_a_cpu() -> None:
    assert resolve_precision("auto", "cuda") == torch.bfloat16
    assert resolve_precision("auto", "cpu") == torch.float32
    assert resolve_precision("bf16", "cpu") == torch.bfloat16


def test_a_base_with_pickled_weights_is_refused_unread(tmp_path: Path) -> None:
    folder = make_llama(tmp_path / "base")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"not even looked at")
    with pytest.raises(BadBase, match=r"pytorch_model\.bin is a pickle"):
        load(folder)


def test_a_base_that_lacks_a_weight_is_refused_instead_of_made_up(tmp_path: Path) -> None:
    folder = make_llama(tmp_path / "base")
    rewrite(
        folder / "model.safetensors",
        lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"),
    )
    with pytest.raises(BadBase, match=r"lack or misshape 1 weights .*layers\.1\.mlp\.up_proj"):
        load(folder)


@pytest.mark.parametrize("content", ["{", '{"model_type": "no-such-family"}'])
def test_an_unreadable_config_is_named(tmp_path: Path, content: str) -> None:
    folder = make_llama(tmp_path / "base")
    (folder / "config.json").write_text(content)
    with pytest.raises(BadBase, match="base"):
        load(folder)


def test_all_linear_modules_but_the_head_are_found_in_both_families(
    tiny_llama: Path, tiny_glm: Path
) -> None:
    shared = ["down_proj", "k_proj", "o_proj", "q_proj", "v_proj"]
    assert linear_targets(load(tiny_llama)) == sorted([*shared, "gate_proj", "up_proj"])
    assert linear_targets(load(tiny_glm)) == sorted([*shared, "gate_up_proj"])


def test_a_wanted_module_that_is_not_there_is_named_with_the_known_ones(tiny_glm: Path) -> None:
    assert linear_targets(load(tiny_glm), ["v_proj", "q_proj"]) == ["q_proj", "v_proj"]
    with pytest.raises(InvalidSpec, match=r"no linear module gate_proj; it has .*gate_up_proj"):
        linear_targets(load(tiny_glm), ["gate_proj"])


@pytest.mark.parametrize("base", ["tiny_llama", "tiny_glm"])
def test_an_attached_adapter_acts_as_under_plain_peft_and_comes_off_again(
    base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(base)
    adapter = write_adapter(folder, tmp_path / "adapter", rank=3)
    model = load(folder)
    bare = probe_logits(model)
    adapted = attach_adapter(model, adapter)
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), str(adapter))
    assert torch.equal(probe_logits(adapted), probe_logits(plain))
    assert logit_change(adapted) > 0.1
    assert torch.equal(probe_logits(detach_adapter(adapted)), bare)


def test_an_attached_adapter_is_for_use_not_for_training(tiny_llama: Path, tmp_path: Path) -> None:
    adapted = attach_adapter(load(tiny_llama), write_adapter(tiny_llama, tmp_path / "a"))
    assert not any(weight.requires_grad for weight in adapted.parameters())


def test_a_saved_adapter_gives_the_same_logits_and_the_same_bytes_every_time(
    tiny_llama: Path, tmp_path: Path
) -> None:
    adapted = attach_adapter(load(tiny_llama), write_adapter(tiny_llama, tmp_path / "adapter"))
    save_adapter(adapted, tmp_path / "one", "tiny")
    again = attach_adapter(load(tiny_llama), tmp_path / "one")
    save_adapter(again, tmp_path / "two", "tiny")
    assert torch.equal(probe_logits(adapted), probe_logits(again))
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    config = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert sorted(os.listdir(tmp_path / "one")) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_two_adapters_share_one_base(tiny_llama: Path, tmp_path: Path) -> None:
    first = write_adapter(tiny_llama, tmp_path / "first", seed=1)
    second = write_adapter(tiny_llama, tmp_path / "second", seed=2, rank=2)
    adapted = attach_adapter(load(tiny_llama), first, slot="a0")
    of_first = probe_logits(adapted)
    adapted = attach_adapter(adapted, second, slot="a1")
    assert not torch.equal(probe_logits(adapted), of_first)
    adapted = detach_adapter(adapted, "a1")
    assert torch.equal(probe_logits(adapted), of_first)


def test_an_adapter_that_fits_nothing_is_a_no_op(tiny_llama: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "adapter", targets=["q_proj"])

    def move(tensors: dict[str, Any]) -> None:
        for key in list(tensors):
            tensors[key.replace("self_attn", "attention")] = tensors.pop(key)

    rewrite(adapter / "adapter_model.safetensors", move)
    with pytest.raises(NoOp, match='none of the 4 weights of adapter "mine"'):
        attach_adapter(load(tiny_llama), adapter, name="mine")


def test_a_weight_without_its_module_is_refused_and_the_base_left_clean(
    tiny_glm: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "adapter")
    model = load(tiny_glm)
    with pytest.raises(UnsupportedAdapter, match=r"weights without a module: .*gate_proj") as wrong:
        attach_adapter(model, adapter)
    assert "modules without a weight" in str(wrong.value)
    assert "other shapes" in str(wrong.value)
    assert torch.equal(probe_logits(model), probe_logits(load(tiny_glm)))
    assert not any("lora" in name for name, _ in model.named_modules())


def test_half_an_adapter_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "adapter", targets=["q_proj", "v_proj"])
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
    rewrite(adapter / "adapter_model.safetensors", lambda tensors: tensors.pop(key))
    with pytest.raises(UnsupportedAdapter, match=r"modules without a weight: .*q_proj\.lora_B"):
        attach_adapter(load(tiny_llama), adapter)


def test_a_pickled_adapter_is_refused_unread(tiny_llama: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tiny_llama, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UnsupportedAdapter, match="pickled weights are not read"):
        attach_adapter(load(tiny_llama), adapter)


def test_a_fresh_adapter_changes_no_logit(tiny_llama: Path) -> None:
    adapted = PeftModelForCausalLM(load(tiny_llama), LoraConfig(r=2, target_modules=["q_proj"]))
    assert logit_change(adapted) == 0.0
