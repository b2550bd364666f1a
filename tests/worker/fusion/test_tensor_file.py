"""The streaming writer gives files that safetensors reads, whole or not at all."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from worker.fusion.tensor_file import TensorFile


def test_safetensors_reads_what_was_added_in_pieces(tmp_path: Path):
    wanted = {f"层.{i}.lora_A": torch.randn(i + 1, 3, dtype=torch.float64) for i in range(20)}
    path = tmp_path / "x.safetensors"
    with TensorFile(path, [*wanted, "never added"]) as file:
        for name, tensor in wanted.items():
            file.add(name, tensor.T)
    found = load_file(path)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor.T.float())


def test_a_failure_midway_leaves_no_file(tmp_path: Path):
    def fail_after_one() -> None:
        with TensorFile(tmp_path / "x.safetensors", ["a", "b"]) as file:
            file.add("a", torch.ones(3))
            raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        fail_after_one()
    assert list(tmp_path.iterdir()) == []


def test_half_precision_is_widened(tmp_path: Path):
    with TensorFile(tmp_path / "x.safetensors", ["a"]) as file:
        file.add("a", torch.full((2,), 0.5, dtype=torch.bfloat16))
    assert load_file(tmp_path / "x.safetensors")["a"].dtype == torch.float32
