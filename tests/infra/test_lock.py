"""requirements.lock pins exactly what Graft needs, and what is installed."""

import sys
from pathlib import Path

import pytest

from infra.lock import HEADER, ROOT, closure, declared

LOCK = (ROOT / "requirements.lock").read_text()


def pins() -> dict[str, str]:
    lines = LOCK.removeprefix(HEADER).splitlines()
    return dict(line.split("==") for line in lines)


@pytest.mark.skipif(sys.platform != "linux", reason="the lock is of Linux")
def test_the_lock_is_the_closure_of_what_pyproject_declares() -> None:
    needed = closure(declared())
    assert pins().keys() == needed.keys(), "run make lock"


def test_every_declared_requirement_admits_its_pin() -> None:
    locked = pins()
    for requirement in declared():
        version = locked[requirement.name.lower()]
        assert requirement.specifier.contains(version), f"{requirement} excludes {version}"


def test_the_lock_names_no_place_and_no_build() -> None:
    lines = LOCK.removeprefix(HEADER).splitlines()
    assert LOCK.startswith(HEADER)
    assert list(pins()) == sorted(pins())
    for line in lines:
        assert line.count("==") == 1, line
        assert not set("/+@: ") & set(line), line


def test_the_make_file_installs_with_the_lock() -> None:
    text = (Path(ROOT) / "Makefile").read_text()
    installing = [line for line in text.splitlines() if "pip install" in line]
    assert installing
    assert all("--constraint requirements.lock" in line for line in installing)
