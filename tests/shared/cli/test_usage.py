"""Wrong words on the command line: a sentence with the nearest right word, exit code 2."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from commands import Graft
from shared.cli import root


def _commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(child, (*path, name))


ALL = list(_commands(root))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_offers_json_and_says_what_it_does(
    path: tuple[str, ...], command: click.Command
) -> None:
    assert "--json" in [name for each in command.params for name in each.opts]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{' '.join(path)} {option.name}"


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("jbos",), "jobs"),
        (("submit", "trian"), "train"),
        (("submit", "train", "--rnak", "4"), "--rank"),
        (("submit", "train", "--schedule", "cosin"), "cosine"),
        (("submit", "fuse", "--method", "weighted-sum"), "weighted_sum"),
        (("jobs", "ls", "--state", "runing"), "running"),
        (("compare", "x", "--format", "jsno"), "json"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest_one(
    graft: Graft, words: tuple[str, ...], nearest: str
) -> None:
    result = graft(*words)
    assert result.exit_code == 2
    assert f"Did you mean {nearest}" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--rank", "9999"), "9999 is out of bounds: 1..1024."),
        (("--rank", "four"), '"four" is not a whole number.'),
        (("--learning-rate", "fast"), '"fast" is not a number.'),
        ((), "Missing: --name, --base-model, --dataset."),
        (
            ("--name", "a/b", "--base-model", "x", "--dataset", "y"),
            "name: it must start with a letter",
        ),
        (
            ("--name", "a", "--base-model", "x", "--dataset", "y", "--learning-rate", "0"),
            "learning_rate: it must be above 0",
        ),
    ],
)
def test_a_value_out_of_its_bounds_is_a_usage_error(
    graft: Graft, words: tuple[str, ...], sentence: str
) -> None:
    result = graft("submit", "train", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_flag_of_another_method_is_refused(graft: Graft) -> None:
    result = graft("submit", "fuse", "--name", "f", "--adapters", "a,b", "--resize", "pad")
    assert result.exit_code == 2
    assert "--resize is no parameter of weighted_sum." in result.stderr


def test_a_usage_error_is_json_where_json_was_asked_for(graft: Graft) -> None:
    result = graft("show", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["error"]["code"] == "usage"


def _in_chinese(*words: str) -> subprocess.CompletedProcess[str]:
    program = "from shared.cli import main; main()"
    environment = {key: value for key, value in os.environ.items() if key != "GRAFT_LANG"}
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        env=environment | {"LC_ALL": "zh_CN.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_and_errors_are_chinese_where_the_locale_is() -> None:
    shown = _in_chinese("submit", "train", "--help")
    assert "用法：" in shown.stdout
    assert "秩" in shown.stdout
    wrong = _in_chinese("submit", "train", "--rank", "9999")
    assert "超出范围" in wrong.stderr
    assert wrong.returncode == 2
