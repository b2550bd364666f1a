"""`graft demo`: the main job on two small bases that this machine makes for itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from infra.local.stage import a_pool, perform, report
from infra.local.story import Cast
from infra.local.up import ends_on_signals, note
from shared import base_models, datasets, db, schema
from shared.cli.failures import INTERRUPTED
from shared.cli.session import whoami
from shared.config import settings
from shared.errors import GraftError, StartFailed
from shared.language import language, say

#: All jobs together; a machine that needs longer is stuck.
LIMIT_SECONDS = 1800.0


def main() -> int:
    """Make the bases, play the story in a pool, print the comparisons."""
    ends_on_signals()
    try:
        starter = make_starter(settings().root)
        with a_pool() as pool:
            return report(perform(enter(starter), "demo", pool, LIMIT_SECONDS))
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
    command = [sys.executable, "-m", "worker.starter", "--home", str(home)]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ, check=False)
    if made.returncode != 0:
        problem = say(f"exit code {made.returncode}", f"退出码 {made.returncode}")
        raise StartFailed(what="worker.starter", problem=problem, log="stderr")
    return json.loads(made.stdout)


def enter(starter: dict[str, Any]) -> Cast:
    """Register the starter's bases and files; entering them again changes nothing."""
    schema.upgrade()
    user = whoami()
    with db.writing() as session:
        for name, folder in starter["bases"].items():
            base_models.register(session, name, folder, actor=user)
        for name, file in starter["datasets"].items():
            datasets.register(session, name, Path(file), "training", actor=user)
        for name, file in starter["benchmarks"].items():
            datasets.register(session, name, Path(file), "benchmark", actor=user)
    return Cast(
        donor_base="starter-llama",
        host_base="starter-glm",
        english="starter-en",
        chinese="starter-zh",
        both="starter-both",
        prompts="starter-prompts",
        benchmarks=list(starter["benchmarks"]),
        training={"rank": 8, "epochs": 3, "learning_rate": 3e-3, "max_length": 256},
        fusion={"weights": [1.0, 1.0]},
        refresh={"max_new_tokens": 48},
        evaluation={"max_new_tokens": 48},
    )


if __name__ == "__main__":
    sys.exit(main())
