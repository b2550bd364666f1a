"""The `graft` command in a data folder of the test's own, with a base and data registered."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import pools
from commands import Graft
from shared.cli import root


@pytest.fixture
def new_graft(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Graft]:
    """The command in a data folder that is not there yet, for the user ann, in English."""
    pools.use(monkeypatch, tmp_path / "home", user="ann", lang="en")

    def call(*words: str) -> Result:
        return CliRunner().invoke(root, list(words), prog_name="graft")

    yield call
    pools.forget()


@pytest.fixture
def graft(new_graft: Graft) -> Graft:
    """The command on an empty SQLite database, for the user ann, in English."""
    pools.upgrade()
    return new_graft


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder that looks like a LLaMA of width 32: config, one empty tensor, a tokenizer."""
    folder = tmp_path / "base"
    folder.mkdir()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "intermediate_size": 64,
        "vocab_size": 100,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Two Alpaca rows."""
    file = tmp_path / "rows.json"
    file.write_text(
        json.dumps(
            [
                {"instruction": "Name a colour.", "input": "", "output": "Red."},
                {"instruction": "说一种颜色。", "output": "红色。"},
            ]
        )
    )
    return file


@pytest.fixture
def stocked(graft: Graft, base: Path, rows: Path) -> Graft:
    """The command, with the base `tiny` and the dataset `colours` registered."""
    assert graft("models", "add", "tiny", str(base)).exit_code == 0
    assert graft("datasets", "add", "colours", str(rows)).exit_code == 0
    return graft
