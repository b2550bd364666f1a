"""A test that calls itself a method's dense reference has to run that method."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from worker.fusion import METHODS


@pytest.fixture(autouse=True)
def _the_method_ran(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fails a test marked `dense_reference(...)` that did not run each of these by the engine."""
    marks = request.node.iter_markers("dense_reference")
    named = {method for mark in marks for method in mark.args}
    ran: set[str] = set()

    def noted(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*given: Any) -> Any:
            ran.add(name)
            return run(*given)

        return noting

    if named:
        for kind, run in METHODS.items():
            monkeypatch.setitem(METHODS, kind, noted(kind.model_fields["method"].default, run))
    yield
    assert named <= ran, f"called a reference of {named - ran}, which it never runs"
