"""The table of model families: trains, loss falls, adapter reloads, logits equal, is evaluated.

`python -m benchmarks.families [--json] [--quick] [--steps N] [--device cuda]`. Every base is
random, 32 wide and 2 layers deep; the engines are the pool's own. `packed` says whether choices
share their prompt's forward pass; where a family's attention does not allow it, each is a row.
"""

import argparse
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

from transformers.utils.logging import disable_progress_bar

from benchmarks.families.bases import BASES, make_base
from benchmarks.families.check import Outcome, check
from benchmarks.report import result, show
from shared.errors import GraftError
from shared.families import family_of


def measure(architecture: str, steps: int, device: str) -> Outcome | str:
    """One family's outcome, or what went wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = make_base(architecture, folder / "base")
        try:
            return check(base, folder, steps=steps, device=device)
        except (GraftError, RuntimeError, TypeError, ValueError, KeyError, AttributeError) as wrong:
            return f"{type(wrong).__name__}: {str(wrong)[:60]}"


def as_row(architecture: str, found: Outcome | str) -> dict[str, Any]:
    """One line of the table."""
    family = family_of(architecture)
    row: dict[str, Any] = {
        "family": family.name if family else "-",
        "architecture": architecture.partition("For")[0],
    }
    if isinstance(found, str):
        return row | dict.fromkeys(_COLUMNS, "no") | {"loss": found}
    answers = (
        "yes", _said(found.falls), "yes", _said(found.equal), _said(found.evaluated == 10),
        _said(found.packed_choices), f"{found.first_loss:.3f} → {found.last_loss:.3f}",
    )  # fmt: skip
    return row | dict(zip(_COLUMNS, answers, strict=True))


_COLUMNS = ("trains", "loss falls", "reloads", "logits equal", "evaluated", "packed", "loss")


def _said(answer: bool) -> str:
    return "yes" if answer else "no"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    parser.add_argument("--quick", action="store_true", help="3 steps each")
    parser.add_argument("--steps", type=int, default=8, help="optimiser steps")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="peft")
    disable_progress_bar()
    logging.disable(logging.WARNING)
    steps = 3 if options.quick else options.steps
    found = {name: measure(name, steps, options.device) for name in BASES}
    rows = [as_row(name, outcome) for name, outcome in found.items()]
    show(f"model families, {steps} steps on {options.device}", rows, as_json=options.json)
    done = [outcome for outcome in found.values() if isinstance(outcome, Outcome)]
    result(
        architectures=len(found),
        train=len(done),
        fall=sum(each.falls for each in done),
        equal=sum(each.equal for each in done),
        evaluated=sum(each.evaluated == 10 for each in done),
        seconds=sum(each.seconds for each in done),
    )


if __name__ == "__main__":
    main()
