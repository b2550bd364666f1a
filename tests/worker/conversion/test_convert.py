"""Published checkpoints become folders that load: whole, under the right names, without code."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from shared.base_models import inspect
from shared.errors import BadBase
from shared.orders import BaseFiles
from tiny_bases import make_llama
from tiny_chatglm import IDS, make_chatglm, write_ice_text
from worker.checkpoints import load_base, probe_logits
from worker.conversion import convert
from worker.conversion.__main__ import main
from worker.framing import frame_of

#: ChatGLM2's config.json, small: 4 heads of 8 over 2 groups of keys and values.
LATER: dict[str, Any] = {
    "model_type": "chatglm", "architectures": ["ChatGLMModel"],
    "auto_map": {"AutoConfig": "configuration_chatglm.ChatGLMConfig"},
    "add_bias_linear": False, "add_qkv_bias": True, "rmsnorm": True, "post_layer_norm": True,
    "apply_residual_connection_post_layernorm": False, "multi_query_attention": True,
    "multi_query_group_num": 2, "num_attention_heads": 4, "kv_channels": 8, "hidden_size": 32,
    "ffn_hidden_size": 40, "num_layers": 2, "padded_vocab_size": 320, "seq_length": 128,
    "layernorm_epsilon": 1e-5, "eos_token_id": 2, "pad_token_id": 0, "torch_dtype": "float32",
}  # fmt: skip
#: Pieces of a BPE model; a score is minus the rank of a merge.
BPE = [
    ("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3),
    *((f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)),
    ("th", -0.0, 1), ("he", -1.0, 1), ("the", -2.0, 1), ("\u2581the", -3.0, 1), ("你好", -4.0, 1),
    *((letter, -5.0 - place, 1) for place, letter in enumerate("\u2581the你好 ab")),
]  # fmt: skip


def files(folder: Path) -> BaseFiles:
    return BaseFiles(name="b", location=str(folder), fingerprint="")


def test_the_original_shards_of_chatglm_6b_give_the_same_model(tmp_path: Path) -> None:
    pickled = make_chatglm(tmp_path / "original", pickled=True)
    (pickled / "MODEL_LICENSE").write_text("terms")
    with pytest.raises(BadBase, match="graft models convert"):
        inspect(pickled)
    with pytest.raises(BadBase, match="graft models convert"):
        load_base(files(pickled), "cpu", "fp32")
    convert(pickled, tmp_path / "out")
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name for name in made if name.endswith((".bin", ".py", ".part"))] == []
    assert {"MODEL_LICENSE", "tokenizer.json", "model-00001-of-00002.safetensors"} <= set(made)
    shards = (tmp_path / "out").glob("*.safetensors")
    assert {path.stat().st_mode & 0o777 for path in shards} == {0o644}
    assert "auto_map" not in json.loads((tmp_path / "out" / "config.json").read_text())
    assert inspect(tmp_path / "out")["family"] == "chatglm"
    assert inspect(tmp_path / "out")["layers"] == 2
    model, tokenizer = load_base(files(tmp_path / "out"), "cpu", "fp32")
    reference, original = load_base(files(make_chatglm(tmp_path / "plain")), "cpu", "fp32")
    # The pickles are in half precision, as the original's.
    halved = reference.half().float()
    assert torch.equal(probe_logits(model), probe_logits(halved))
    text = "the capital\n\tof  你好"
    assert tokenizer(text)["input_ids"] == original(text)["input_ids"]
    assert frame_of(tokenizer).after == (IDS["[gMASK]"], IDS["<sop>"])


def make_later(folder: Path, **more: Any) -> dict[str, torch.Tensor]:
    """ChatGLM2's folder, and its weights under ChatGLM2's names."""
    folder.mkdir()
    config = LATER | more
    (folder / "config.json").write_text(json.dumps(config))
    write_ice_text(folder / "tokenizer.model", BPE, algorithm=2)
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.embedding.word_embeddings.weight": (320, 32),
        "transformer.encoder.final_layernorm.weight": (32,),
        "transformer.output_layer.weight": (320, 32),
        "transformer.rotary_pos_emb.inv_freq": (2,),
    }
    for layer in range(2):
        at = f"transformer.encoder.layers.{layer}"
        shapes |= {
            f"{at}.input_layernorm.weight": (32,),
            f"{at}.post_attention_layernorm.weight": (32,),
            f"{at}.self_attention.query_key_value.weight": (64, 32),
            f"{at}.self_attention.query_key_value.bias": (64,),
            f"{at}.self_attention.dense.weight": (32, 32),
            f"{at}.mlp.dense_h_to_4h.weight": (80, 32),
            f"{at}.mlp.dense_4h_to_h.weight": (32, 40),
        }
    draw = torch.Generator().manual_seed(3)
    weights = {name: torch.randn(shape, generator=draw) * 0.3 for name, shape in shapes.items()}
    torch.save(weights, folder / "pytorch_model.bin")
    return weights


def later_by_hand(weights: dict[str, torch.Tensor], ids: list[int]) -> torch.Tensor:
    """ChatGLM2's logits by its equations, one head and one pair of numbers at a time."""

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights[f"{name}.weight"]

    def turned(x: torch.Tensor) -> torch.Tensor:
        out = x.clone()
        for pair in range(2):
            for place in range(len(ids)):
                angle = place * 10_000.0 ** (-pair / 2)
                one, other = x[place, 2 * pair], x[place, 2 * pair + 1]
                out[place, 2 * pair] = one * math.cos(angle) - other * math.sin(angle)
                out[place, 2 * pair + 1] = other * math.cos(angle) + one * math.sin(angle)
        return out

    later = torch.ones(len(ids), len(ids), dtype=torch.bool).triu(1)
    x = weights["transformer.embedding.word_embeddings.weight"][ids]
    for layer in range(2):
        at = f"transformer.encoder.layers.{layer}"
        name = f"{at}.self_attention.query_key_value"
        mixed = normed(x, f"{at}.input_layernorm") @ weights[f"{name}.weight"].T
        query, key, value = (mixed + weights[f"{name}.bias"]).split([32, 16, 16], -1)
        outs = []
        for head in range(4):
            group = slice(head // 2 * 8, head // 2 * 8 + 8)
            q, k = turned(query[:, head * 8 : head * 8 + 8]), turned(key[:, group])
            scores = (q @ k.T / math.sqrt(8)).masked_fill(later, -math.inf)
            outs.append(scores.softmax(-1) @ value[:, group])
        x = x + torch.cat(outs, -1) @ weights[f"{at}.self_attention.dense.weight"].T
        inner = (
            normed(x, f"{at}.post_attention_layernorm")
            @ weights[f"{at}.mlp.dense_h_to_4h.weight"].T
        )
        gate, up = inner.chunk(2, -1)
        x = x + (gate * gate.sigmoid() * up) @ weights[f"{at}.mlp.dense_4h_to_h.weight"].T
    final = normed(x, "transformer.encoder.final_layernorm")
    return final @ weights["transformer.output_layer.weight"].T


def test_chatglm2_becomes_glm_with_the_logits_of_its_equations(tmp_path: Path) -> None:
    weights = make_later(tmp_path / "original")
    with pytest.raises(BadBase, match="graft models convert"):
        inspect(tmp_path / "original")
    convert(tmp_path / "original", tmp_path / "out")
    model, tokenizer = load_base(files(tmp_path / "out"), "cpu", "fp32")
    ids = [5, 300, 17, 260, 9, 41]
    with torch.no_grad():
        found = model(input_ids=torch.tensor([ids])).logits[0]
    torch.testing.assert_close(found, later_by_hand(weights, ids), rtol=1e-4, atol=1e-4)
    assert inspect(tmp_path / "out")["family"] == "glm"
    gmask = len(BPE) + 1
    assert frame_of(tokenizer).before == (gmask, gmask + 2)
    named = {text: place for place, (text, _, _) in enumerate(BPE)}
    pieces = tokenizer("the 你好 é", add_special_tokens=False)["input_ids"]
    space = named["\u2581"]
    assert pieces == [
        named["\u2581the"], space, named["你好"], space, named["<0xC3>"], named["<0xA9>"],
    ]  # fmt: skip
    assert tokenizer.decode(pieces) == "the 你好 é"


@pytest.mark.parametrize(
    ("more", "reason"),
    [({"rope_ratio": 50}, "rope_ratio"), ({"rmsnorm": False}, "rmsnorm"),
     ({"quantization_bit": 4}, "quantization_bit")],
)  # fmt: skip
def test_what_glms_layers_are_not_is_refused_by_name(
    tmp_path: Path, more: dict[str, Any], reason: str
) -> None:
    make_later(tmp_path / "original", **more)
    with pytest.raises(BadBase, match=reason):
        convert(tmp_path / "original", tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


class _Runs:
    """Unpickling it would make a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    folder = make_chatglm(tmp_path / "original", pickled=True)
    shard = folder / "pytorch_model-00002-of-00002.bin"
    torch.save({"x": _Runs(tmp_path / "ran")}, shard)
    with pytest.raises(BadBase, match="something else than tensors"):
        convert(folder, tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    assert not list(tmp_path.glob("out*"))


def test_a_missing_shard_and_a_missing_weight_are_named(tmp_path: Path) -> None:
    folder = make_chatglm(tmp_path / "original", pickled=True)
    shard = folder / "pytorch_model-00002-of-00002.bin"
    held = torch.load(shard, weights_only=True)
    dropped = sorted(held)[-1]
    torch.save({name: value for name, value in held.items() if name != dropped}, shard)
    with pytest.raises(BadBase, match=dropped):
        convert(folder, tmp_path / "out")
    shard.unlink()
    with pytest.raises(BadBase, match=r"pytorch_model-00002-of-00002\.bin is missing"):
        convert(folder, tmp_path / "out")


def test_any_familys_pickles_become_safetensors(tmp_path: Path) -> None:
    folder = make_llama(tmp_path / "llama")
    model = AutoModelForCausalLM.from_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    torch.save({"not": "weights"}, folder / "training_args.bin")
    convert(folder, tmp_path / "out")
    again, tokenizer = load_base(files(tmp_path / "out"), "cpu", "fp32")
    assert torch.equal(probe_logits(again), probe_logits(model))
    assert tokenizer.eos_token == "</s>"


def test_a_folder_that_exists_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_chatglm(tmp_path / "original")
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path / "original"), str(tmp_path / "out")])
    assert main() == 4
    assert "name a new folder" in capsys.readouterr().err
    (tmp_path / "out").rmdir()
    assert main() == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
