"""`graft benchmarks import-lm-eval`: a task becomes a benchmark, or the extra is named."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from commands import Graft

TASK = """
task: capitals
dataset_path: csv
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: multiple_choice
doc_to_text: "The capital of {{country}} is"
doc_to_choice: ["Paris", "Rome"]
doc_to_target: place
"""
INSTALLED = find_spec("lm_eval") is not None


@pytest.mark.skipif(INSTALLED, reason="the extra is installed")
def test_without_the_extra_the_command_says_what_to_install(graft: Graft) -> None:
    result = graft("benchmarks", "import-lm-eval", "capitals.yaml")
    assert result.exit_code == 3
    assert "'.[lm-eval]'" in result.stderr


@pytest.mark.skipif(not INSTALLED, reason="needs the extra lm-eval")
@pytest.mark.filterwarnings("ignore")
def test_a_yaml_over_a_table_becomes_a_benchmark_with_its_origin(
    graft: Graft, tmp_path: Path
) -> None:
    data, file = tmp_path / "rows.csv", tmp_path / "capitals.yaml"
    data.write_text("country,place\nFrance,0\nItaly,1\nSpain,1\n")
    file.write_text(TASK.replace("DATA", str(data)))
    made = graft("benchmarks", "import-lm-eval", str(file), "--limit", "2", "--json")
    assert made.exit_code == 0, made.stderr
    found = json.loads(made.stdout)
    assert (found["name"], found["format"], found["rows"]) == ("capitals", "choice", 2)
    assert found["facts"]["lm_eval"]["metrics"]["acc"] == "accuracy"
