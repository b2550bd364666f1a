"""`graft demo`: the main job on two small bases that this machine makes for itself."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local.child import tie
from infra.local.stage import a_pool, perform, report
from infra.local.story import Cast
from infra.local.up import ends_on_signals, note
from shared import base_models, datasets, db, schema
from shared.cli.failures import INTERRUPTED
from shared.config import settings
from shared.errors import GraftError, NameTaken, StartFailed
from shared.language import language, say
from shared.people.actors import local_actor

#: All jobs together; a machine that needs longer is stuck.
LIMIT_SECONDS = 1800.0


def main() -> int:
    """Make the bases, play the story in a pool, print the comparisons."""
    ends_on_signals()
    try:
        starter = make_starter(settings().root)
        with a_pool() as pool:
            played = perform(enter(starter), "demo", pool, LIMIT_SECONDS)
        return report(played, native_must_win=True)
    except KeyboardInterrupt:
        note(say("Interrupted.", "已中断。"))
        return INTERRUPTED
    except GraftError as wrong:
        note(f"graft demo: {wrong.message(language())}")
        return wrong.exit_code


def make_starter(home: Path) -> dict[str, Any]:
    """The starter bases and data, made in a process of their own or found in the data folder.

    Raises StartFailed when they cannot be made.
    """
    note(say("starter bases and data:", "起步底座与数据："))
    command = tie([sys.executable, "-m", "worker.starter", "--home", str(home)])
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        problem = say(f"exit code {made.returncode}", f"退出码 {made.returncode}")
        raise StartFailed(what="worker.starter", problem=problem, log="stderr")
    return json.loads(made.stdout)


def enter(starter: dict[str, Any]) -> Cast:
    """Register the starter's bases and files; entering them again changes nothing.

    Where another version of Graft has used a name for other files, the new ones get the name of
    their folder's digest too.
    """
    schema.upgrade()
    actor = local_actor()
    names: dict[str, str] = {}
    with db.writing() as session:

        def base(name: str, path: Path) -> None:
            base_models.register(session, name, str(path), actor=actor)

        def training(name: str, path: Path) -> None:
            datasets.register(session, name, path, "training", actor=actor)

        def benchmark(name: str, path: Path) -> None:
            datasets.register(session, name, path, "benchmark", actor=actor)

        for kind, register in (("bases", base), ("datasets", training), ("benchmarks", benchmark)):
            for name, path in starter[kind].items():
                names[name] = _entered(name, Path(path), register)
    return Cast(
        donor_base=names["starter-llama"],
        host_base=names["starter-glm"],
        english=names["starter-en"],
        chinese=names["starter-zh"],
        both=names["starter-mixed"],
        prompts=names["starter-prompts"],
        benchmarks=[names[name] for name in starter["benchmarks"]],
        training={"rank": 8, "epochs": 1.25, "learning_rate": 3e-3, "max_length": 256},
        native={"epochs": 1.0},
        fusion={"weights": [1.0, 1.0]},
        refresh={"max_new_tokens": 48, "rows": 900, "epochs": 2.0},
        evaluation={"max_new_tokens": 48},
    )


def _entered(name: str, path: Path, register: Callable[[str, Path], None]) -> str:
    """Register under the name, or under one of its own where that means other files already."""
    try:
        register(name, path)
    except NameTaken:
        name = f"{name}-{path.parents[1].name[:8]}"
        register(name, path)
    return name


if __name__ == "__main__":
    sys.exit(main())
