"""`graft adapters add`: what is sound enters the pool, everything else is refused by name."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import Graft
from shared import db, imports, results

MODULES = [f"model.layers.{layer}.self_attn.{name}_proj" for layer in (0, 1) for name in "qv"]
Tensors = dict[str, np.ndarray]


def write(path: Path, tensors: Tensors, *, bf16: bool = False) -> None:
    """A safetensors file; `bf16` keeps the upper half of every fp32 number."""
    table: dict[str, Any] = {}
    data = b""
    for key, value in tensors.items():
        raw = np.ascontiguousarray(value, np.float32)
        body = (raw.view(np.uint32) >> 16).astype("<u2").tobytes() if bf16 else raw.tobytes()
        span = [len(data), len(data) + len(body)]
        kind = "BF16" if bf16 else "F32"
        table[key] = {"dtype": kind, "shape": list(raw.shape), "data_offsets": span}
        data += body
    head = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


def factors(width: int = 8, rank: int = 2) -> Tensors:
    random = np.random.default_rng(0)
    made: Tensors = {}
    for module in MODULES:
        made[f"base_model.model.{module}.lora_A.weight"] = random.normal(size=(rank, width))
        made[f"base_model.model.{module}.lora_B.weight"] = random.normal(size=(width, rank))
    return made


def adapter(
    folder: Path, tensors: Tensors | None = None, config: dict[str, Any] | None = None, **more: Any
) -> Path:
    folder.mkdir()
    config = {"peft_type": "LORA", "r": 2, "base_model_name_or_path": "somebody/base"} | (
        config or {}
    )
    (folder / "adapter_config.json").write_text(json.dumps(config))
    write(folder / "adapter_model.safetensors", factors() if tensors is None else tensors, **more)
    return folder


@pytest.fixture
def pool(graft: Graft, base: Path) -> Graft:
    """A pool whose base has the modules of `factors`."""
    weights = {f"{module}.weight": np.ones((8, 8)) for module in MODULES}
    write(base / "model.safetensors", weights)
    assert graft("db", "upgrade").exit_code == 0
    assert graft("models", "add", "tiny", str(base)).exit_code == 0
    return graft


@pytest.mark.parametrize("bf16", [False, True])
def test_a_sound_adapter_is_registered_with_its_rank_and_base(
    pool: Graft, tmp_path: Path, bf16: bool
) -> None:
    folder = adapter(tmp_path / "a", bf16=bf16)
    made = pool("adapters", "add", "mine", str(folder), "--base", "tiny", "--json")
    assert made.exit_code == 0, made.stderr
    with db.reading() as session:
        found = results.adapter(session, "mine")
    assert (found.method, found.rank, found.base_model) == ("import", 2, "tiny")
    assert found.facts["modules"] == len(MODULES)
    target = tmp_path / "copy"
    assert pool("adapters", "download", "mine", str(target)).exit_code == 0
    name = "adapter_model.safetensors"
    assert (target / name).read_bytes() == (folder / name).read_bytes()


def halves(tensors: Tensors) -> Tensors:
    return {key: value for key, value in tensors.items() if "q_proj.lora_B" not in key}


def renamed(tensors: Tensors) -> Tensors:
    return {key.replace("q_proj", "query_key"): value for key, value in tensors.items()}


def holed(tensors: Tensors) -> Tensors:
    changed = {key: value.copy() for key, value in tensors.items()}
    changed[min(changed)][0, 0] = np.nan
    return changed


def zeroed(tensors: Tensors) -> Tensors:
    return {key: value * ("lora_A" in key) for key, value in tensors.items()}


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (factors(width=16), "4 of its 4 modules have other sizes than those of tiny"),
        (renamed(factors()), "2 of its 4 modules do not exist in tiny"),
        (halves(factors()), "2 of its modules have one factor only"),
        (holed(factors()), "holds NaN or infinite values"),
        (zeroed(factors()), "NO-OP"),
        ({"x": np.ones((2, 2))}, "it holds no LoRA factors"),
    ],
    ids=["another-base", "half-of-the-keys", "half-a-module", "nan", "zero-effect", "no-lora"],
)
@pytest.mark.parametrize("bf16", [False, True])
def test_what_would_not_work_is_refused_before_anything_runs(
    pool: Graft, tmp_path: Path, tensors: Tensors, sentence: str, bf16: bool
) -> None:
    folder = adapter(tmp_path / "a", tensors, bf16=bf16)
    refused = pool("adapters", "add", "mine", str(folder), "--base", "tiny")
    assert refused.exit_code != 0
    assert sentence in " ".join(refused.stderr.split())
    with db.reading() as session:
        assert results.adapters(session) == []


def prefixed(folder: Path, width: int = 128, **config: Any) -> Path:
    """A prefix of three tokens; the base has 2 layers of 4 heads, 8 wide."""
    values = {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 3} | config
    return adapter(folder, {"prompt_embeddings": np.ones((3, width))}, values)


def test_a_prefix_made_elsewhere_is_registered_as_one(pool: Graft, tmp_path: Path) -> None:
    folder = prefixed(tmp_path / "a")
    made = pool("adapters", "add", "mine", str(folder), "--base", "tiny")
    assert made.exit_code == 0, made.stderr
    with db.reading() as session:
        found = results.adapter(session, "mine")
    assert (found.rank, found.facts["tuning"]) == (3, "prefix")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"width": 64}, "64 wide, and tiny takes 128"),
        ({"num_virtual_tokens": 4}, "its config says 4 virtual tokens"),
        ({"prefix_projection": True}, "reparametrised"),
        ({"peft_type": "PROMPT_TUNING"}, "it is PROMPT_TUNING, not LoRA"),
    ],
)
def test_a_prefix_that_does_not_fit_is_refused(
    pool: Graft, tmp_path: Path, values: dict[str, Any], sentence: str
) -> None:
    folder = prefixed(tmp_path / "a", **values)
    refused = pool("adapters", "add", "mine", str(folder), "--base", "tiny")
    assert refused.exit_code != 0
    assert sentence in " ".join(refused.stderr.split())


def test_pickles_are_refused_unread(pool: Graft, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04")
    refused = pool("adapters", "add", "mine", str(folder), "--base", "tiny")
    assert refused.exit_code != 0
    assert "adapter_model.bin is a pickle" in refused.stderr


def test_a_cut_file_and_a_taken_name_are_refused(pool: Graft, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    assert pool("adapters", "add", "mine", str(folder), "--base", "tiny").exit_code == 0
    again = pool("adapters", "add", "mine", str(folder), "--base", "tiny")
    assert "mine" in again.stderr
    assert again.exit_code != 0
    path = folder / imports.WEIGHTS
    path.write_bytes(path.read_bytes()[:-10])
    cut = pool("adapters", "add", "other", str(folder), "--base", "tiny")
    assert "cut short" in cut.stderr


def test_projections_the_base_holds_fused_are_accepted(
    pool: Graft, tmp_path: Path, base: Path
) -> None:
    fused = {"model.layers.0.self_attn.qkv_proj.weight": np.ones((24, 8))}
    write(base / "model.safetensors", fused)
    assert pool("models", "add", "fused", str(base)).exit_code == 0
    parts = {key: value for key, value in factors().items() if "layers.0" in key}
    folder = adapter(tmp_path / "a", parts)
    assert pool("adapters", "add", "mine", str(folder), "--base", "fused").exit_code == 0
