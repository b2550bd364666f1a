"""The command that stands for a spec asks for that very spec."""

import shlex
from typing import Any

import pytest

from shared.cli.submit import submit
from shared.specs import FUSION_METHODS
from shared.specs.command_line import command_line
from shared.specs.parameters import parameters

TRAIN = {"kind": "train", "name": "it's 一", "base_model": "b", "dataset": "d", "rank": 3}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `graft submit` would submit for a command line, without a database."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr("shared.cli.submit._submit", lambda data, **_: sent.append(data))

    def run(values: dict[str, Any]) -> dict[str, Any]:
        words = shlex.split(command_line(values))
        assert words[:2] == ["graft", "submit"]
        submit.main(words[2:], standalone_mode=False)
        return sent.pop()

    return run


@pytest.mark.parametrize(
    "values",
    [
        TRAIN,
        TRAIN | {"learning_rate": 3e-5},
        {"kind": "evaluate", "name": "e", "base_model": "b", "benchmarks": ["x", "y"]},
        {"kind": "fuse", "name": "-f", "adapters": ["a", "b"],
         "params": {"method": "ties", "weights": [0.5, -0.25]}},
    ],
)  # fmt: skip
def test_the_command_of_a_spec_asks_for_the_same_spec(asked: Any, values: dict[str, Any]) -> None:
    assert asked(values) == values


@pytest.mark.parametrize("method", FUSION_METHODS)
def test_every_method_has_a_command(asked: Any, method: str) -> None:
    params = {"method": method} | {
        each.name: ["x"] if each.many else "x"
        for each in parameters(FUSION_METHODS[method])
        if each.required
    }
    values = {"kind": "fuse", "name": "f", "adapters": ["a"], "params": params}
    assert asked(values) == values


def test_defaults_stay_unsaid() -> None:
    said = command_line(TRAIN)
    assert said.endswith("--rank=3")
    assert "--alpha" not in said
    assert command_line(TRAIN, gpus=2).endswith("--rank=3 --gpus=2")
    assert "--alpha" not in command_line(TRAIN | {"rank": 8})
