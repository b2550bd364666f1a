"""What an adapter changes is computed from its factors and equals what the whole update says."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from shared.deltas import effective_rank, module_deltas, place, sign_conflicts
from shared.lora_files import LoraFile

MODULE = "model.layers.{}.mlp.up_proj"


def _write(folder: Path, seed: int, *, alpha: int = 4, **config: object) -> dict[str, np.ndarray]:
    """A LoRA of rank 2 on two layers; returns each module's whole update."""
    folder.mkdir()
    chance = np.random.default_rng(seed)
    tensors, whole = {}, {}
    for layer in range(2):
        name = MODULE.format(layer)
        b = chance.normal(size=(6, 2)).astype(np.float32)
        a = chance.normal(size=(2, 5)).astype(np.float32)
        tensors |= {f"base_model.model.{name}.lora_{side}.weight": half
                    for side, half in (("A", a), ("B", b))}  # fmt: skip
        whole[name] = b @ a * alpha / 2
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": alpha} | config
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return whole


def test_norms_cosines_and_conflicts_are_those_of_the_whole_updates(tmp_path: Path) -> None:
    own = _write(tmp_path / "own", 1)
    parents = {name: _write(tmp_path / name, seed) for seed, name in enumerate("pq", start=2)}
    files = {name: LoraFile(name, tmp_path / name) for name in ("own", *parents)}
    found = module_deltas(files["own"], {name: files[name] for name in parents})
    assert [(each.layer, each.module) for each in found] == [(0, "mlp.up_proj"), (1, "mlp.up_proj")]
    for each in found:
        name = MODULE.format(each.layer)
        update = own[name]
        assert each.norm == pytest.approx(np.linalg.norm(update), rel=1e-5)
        for parent, whole in parents.items():
            other = whole[name]
            cosine = (update * other).sum() / np.linalg.norm(update) / np.linalg.norm(other)
            assert each.cosines[parent] == pytest.approx(cosine, abs=1e-5)
        signs = [np.sign(whole[name]) for whole in parents.values()]
        assert each.conflicts == pytest.approx((signs[0] != signs[1]).mean())


def test_a_module_that_a_parent_lacks_or_has_in_another_size_has_no_cosine(tmp_path: Path) -> None:
    _write(tmp_path / "own", 1)
    (tmp_path / "wide").mkdir()
    key = f"base_model.model.{MODULE.format(0)}"
    tensors = {
        f"{key}.lora_A.weight": np.ones((1, 9), np.float32),
        f"{key}.lora_B.weight": np.ones((6, 1), np.float32),
    }
    save_file(tensors, tmp_path / "wide" / "adapter_model.safetensors")
    (tmp_path / "wide" / "adapter_config.json").write_text('{"r": 1, "lora_alpha": 1}')
    own, wide = (LoraFile(name, tmp_path / name) for name in ("own", "wide"))
    found = module_deltas(own, {"wide": wide})
    assert [dict(each.cosines) for each in found] == [{}, {}]
    assert found[0].conflicts is None


def test_scales_follow_patterns_and_rank_stabilised_lora(tmp_path: Path) -> None:
    plain = _write(tmp_path / "plain", 1)
    pattern = {"layers.1.mlp.up_proj": 8}
    _write(tmp_path / "pattern", 1, alpha_pattern=pattern, use_rslora=True)
    found = module_deltas(LoraFile("pattern", tmp_path / "pattern"), {})
    norms = [np.linalg.norm(plain[MODULE.format(layer)]) for layer in range(2)]
    assert found[0].norm == pytest.approx(norms[0] * 2**0.5, rel=1e-5)
    assert found[1].norm == pytest.approx(norms[1] * 2 * 2**0.5, rel=1e-5)


def test_half_precision_is_read_as_the_numbers_it_holds(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    save = pytest.importorskip("safetensors.torch").save_file
    key = f"base_model.model.{MODULE.format(0)}"
    a, b = torch.randn(2, 5).bfloat16(), torch.randn(6, 2).bfloat16()
    save({f"{key}.lora_A.weight": a, f"{key}.lora_B.weight": b},
         tmp_path / "adapter_model.safetensors")  # fmt: skip
    (tmp_path / "adapter_config.json").write_text('{"r": 2, "lora_alpha": 2}')
    (found,) = module_deltas(LoraFile("half", tmp_path), {})
    assert found.norm == pytest.approx(float((b.float() @ a.float()).norm()), rel=1e-5)


def test_effective_rank_counts_directions_of_equal_strength() -> None:
    eye = np.eye(6, 3, dtype=np.float32)
    assert effective_rank(eye, eye.T.copy()) == pytest.approx(3)
    assert effective_rank(eye[:, :1], eye.T[:1].copy()) == pytest.approx(1)
    assert effective_rank(np.zeros((6, 2), np.float32), np.ones((2, 6), np.float32)) == 0


def test_opposite_updates_conflict_everywhere_and_one_alone_nowhere() -> None:
    b, a = np.ones((3, 1), np.float32), np.ones((1, 4), np.float32)
    assert sign_conflicts([(b, a), (-b, a)]) == 1.0
    assert sign_conflicts([(b, a), (b, a)]) == 0.0
    assert sign_conflicts([(b, a)]) is None


def test_a_module_outside_the_layers_has_none() -> None:
    assert place("lm_head") == (None, "lm_head")
    assert place("transformer.h.11.attn.c_attn") == (11, "attn.c_attn")
