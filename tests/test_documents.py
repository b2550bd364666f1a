"""The documents name what is there, and both READMEs say the same."""

import re
import subprocess
from pathlib import Path

import pytest

from shared.cli.root import root
from shared.config import Settings

CHECKOUT = Path(__file__).parents[1]
READMES = {"en": CHECKOUT / "README.md", "zh": CHECKOUT / "README.zh-CN.md"}
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")])


def _name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", READMES.values(), ids=_name)
def test_a_readme_lists_every_setting_and_every_command(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    settings = {f"GRAFT_{field.upper()}" for field in Settings.model_fields} | {"GRAFT_LANG"}
    assert {name for name in settings if f"`{name}`" not in text} == set()
    assert {name for name in root.commands if f"`graft {name}" not in text} == set()


def _code(path: Path) -> list[str]:
    """The lines of all code blocks, without remarks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    return [line.split("  #")[0].rstrip() for block in blocks for line in block.splitlines()]


def test_both_readmes_have_the_same_sections_and_the_same_code() -> None:
    english, chinese = (path.read_text(encoding="utf-8") for path in READMES.values())
    for pattern in (r"^#+", r"^\|", r"^- ", r"^\d\. "):
        counted = [re.findall(pattern, text, re.M) for text in (english, chinese)]
        assert counted[0] == counted[1], pattern
    translate = str.maketrans({"，": ",", "“": '"', "”": '"'})
    code = [[re.sub(r"=(目录|folder)", "=", line.translate(translate)) for line in _code(path)]
            for path in READMES.values()]  # fmt: skip
    assert code[0] == code[1]


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_link_and_every_named_file_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text)]
    assert [link for link in links if link and not (path.parent / link).exists()] == []
    named = re.findall(
        r"`((?:shared|worker|dashboard|infra|tests|docs|benchmarks)/[\w./-]+)`", text
    )
    examples = [name for name in named if "NAME" not in name]
    assert [name for name in examples if not (CHECKOUT / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_make_target_that_a_document_names_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.M))
    assert named <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_graft_command_that_a_document_names_exists(path: Path) -> None:
    named = set(re.findall(r"(?:bin/|`)graft ([a-z]+)", path.read_text(encoding="utf-8")))
    assert named <= set(root.commands)


def test_git_ignores_passwords_and_the_environment() -> None:
    done = subprocess.run(
        ["git", "check-ignore", ".env", ".venv/bin"], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.stdout.split() == [".env", ".venv/bin"]
