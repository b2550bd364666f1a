"""Which tests hold a fusion method against an independent dense implementation: they say so."""

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def each_against_its_reference(cases: Iterable[str]) -> list[Any]:
    """Parameters of a test that is a dense reference of the method each case begins with."""
    marked = pytest.mark.dense_reference
    return [pytest.param(case, marks=marked(case.split()[0])) for case in cases]


def referenced(folder: Path, leave_out: str) -> dict[str, set[str]]:
    """The methods that tests below `folder` are marked as references of, and those tests."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.glob("test_*.py")):
        if path.name != leave_out:
            for test, method in _marked(_imported(path)):
                found.setdefault(method, set()).add(f"{path.name}::{test}")
    return found


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"referenced_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _marked(module: ModuleType) -> Iterator[tuple[str, str]]:
    for name, value in vars(module).items():
        for mark in getattr(value, "pytestmark", []) if name.startswith("test_") else []:
            marks = [mark]
            if mark.name == "parametrize":
                marks = [own for each in mark.args[1] for own in getattr(each, "marks", ())]
            for own in marks:
                if own.name == "dense_reference":
                    yield from ((name, method) for method in own.args)
