"""`graft datasets`, `benchmarks`, `models`, `adapters`: what can be registered and taken away."""

import json
from pathlib import Path

import pytest

from commands import Graft
from shared import db
from shared.storage import seal, store
from shared.tables import Adapter


def test_data_is_added_once_and_listed(graft: Graft, rows: Path) -> None:
    assert graft("datasets", "add", "colours", str(rows)).exit_code == 0
    assert graft("datasets", "add", "colours", str(rows)).exit_code == 0
    (listed,) = json.loads(graft("datasets", "--json").stdout)
    assert (listed["name"], listed["kind"], listed["rows"]) == ("colours", "training", 2)
    assert listed["languages"] == {"en": 1, "zh": 1}
    assert json.loads(graft("benchmarks", "--json").stdout) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there are no rows in it"),
        ("name,age\n", "line 1: not valid JSON"),
        ('[{"output": "x"}]', "row 1: no instruction"),
    ],
)
def test_a_file_that_is_no_data_is_refused_and_not_entered(
    graft: Graft, tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    result = graft("datasets", "add", "bad", str(file))
    assert result.exit_code == 4
    assert sentence in result.stderr
    assert json.loads(graft("datasets", "--json").stdout) == []


def test_another_file_under_a_used_name_is_refused(stocked: Graft, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('[{"instruction": "a", "output": "b"}]')
    result = stocked("datasets", "add", "colours", str(other))
    assert result.exit_code == 4
    assert "already in use" in result.stderr


def test_a_benchmark_is_added_with_its_shape(graft: Graft, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    items = [
        {"id": str(n), "prompt": f"{n}?", "choices": ["a", "b"], "answer": 0, "lang": "en"}
        for n in range(3)
    ]
    file.write_text("\n".join(json.dumps(item) for item in items))
    assert graft("benchmarks", "add", "abc", str(file)).exit_code == 0
    (listed,) = json.loads(graft("benchmarks", "ls", "--json").stdout)
    assert (listed["kind"], listed["format"], listed["rows"]) == ("benchmark", "choice", 3)


def test_models_are_added_and_a_folder_that_is_none_is_refused(
    stocked: Graft, tmp_path: Path
) -> None:
    (listed,) = json.loads(stocked("models", "--json").stdout)
    assert (listed["name"], listed["family"], listed["hidden_size"]) == ("tiny", "llama", 32)
    result = stocked("models", "add", "none", str(tmp_path / "nowhere"))
    assert result.exit_code == 4
    assert "there is no such folder" in result.stderr


@pytest.fixture
def published(stocked: Graft) -> Graft:
    """The adapter `reds`, trained on `tiny` from `colours`."""
    local = store().local
    assert local is not None
    folder = local / "jobs" / "j" / "a1"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    digest = seal(folder)
    with db.writing() as session:
        session.add(
            Adapter(
                name="reds", method="train", base_model="tiny", base_fingerprint="f",
                uri="jobs/j/a1", sha256=digest, rank=4, bytes=7, facts={"dataset": "colours"},
                created_at=1.0,
            )
        )  # fmt: skip
    return stocked


def test_an_adapter_is_shown_with_its_lineage(published: Graft) -> None:
    (listed,) = json.loads(published("adapters", "--json").stdout)
    assert listed["name"] == "reds"
    shown = json.loads(published("adapters", "show", "reds", "--json").stdout)
    assert shown["lineage"] == [["tiny", "reds"], ["colours", "reds"]]
    assert "colours -> reds" in published("adapters", "show", "reds").stdout


def test_an_adapter_is_downloaded_whole_and_never_over_something(
    published: Graft, tmp_path: Path
) -> None:
    target = tmp_path / "mine"
    result = published("adapters", "download", "reds", str(target))
    assert result.exit_code == 0
    assert (target / "adapter_model.safetensors").read_bytes() == b"weights"
    assert [path.name for path in tmp_path.glob(".*part")] == []
    again = published("adapters", "download", "reds", str(target))
    assert again.exit_code == 4
    assert "not empty" in again.stderr


def test_an_unknown_adapter_is_answered_with_the_nearest(published: Graft) -> None:
    result = published("adapters", "show", "read")
    assert result.exit_code == 4
    assert "Did you mean reds?" in result.stderr
