"""A task of lm-eval, by its name or its YAML file, with all its requests laid out."""

import contextlib
import io
import logging
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shared.errors import BadTask, FileMissing, NotInstalled, both

_SEED = 1234
_ENDINGS = (".yaml", ".yml")


def load(name: str, *, shots: int | None = None, limit: int | None = None) -> Any:
    """A `ConfigurableTask` whose `instances` are made for its first `limit` documents.

    `name` is a YAML file, whose data may lie beside the reader without any network, or one of
    lm-eval's own tasks, whose data it fetches. Few-shot examples are drawn with lm-eval's own seed.
    A file's Python functions (`!function`) are run, as lm-eval runs them. Raises NotInstalled
    without the extra, FileMissing, BadTask with what lm-eval says.
    """
    if find_spec("lm_eval") is None:
        what = both("lm-eval, which reads its own tasks,", "lm-eval（用于读取其自身的任务）")
        raise NotInstalled(what=what, package="lm_eval", extra="lm-eval")
    file = name.endswith(_ENDINGS)
    if file and not Path(name).is_file():
        raise FileMissing(file=name)
    with _quiet():
        try:
            task = _only(name, file)
            if shots is not None:
                task.set_config("num_fewshot", shots)
            task.set_fewshot_seed(_SEED)
            task.build_all_requests(limit=limit)
        except BadTask:
            raise
        except Exception as wrong:
            said = str(wrong).strip().splitlines()
            why = f"{type(wrong).__name__}: {said[0] if said else ''}"
            raise BadTask(task=name, problem=why) from wrong
    return task


def _only(name: str, file: bool) -> Any:
    """The one task of that name. Raises BadTask for none and for a group."""
    from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]

    # Reading the names of all its tasks takes lm-eval half a minute; a file needs none of them.
    manager = TaskManager(include_defaults=not file)
    if not file and name not in manager.all_tasks:
        raise BadTask(
            task=name,
            problem=both("lm-eval has no task of that name", "lm-eval 没有这个名称的任务"),
        )
    found = manager.load([str(Path(name).absolute()) if file else name])["tasks"]
    if len(found) != 1:
        names = ", ".join(sorted(found))
        problem = both(f"it is a group; take one of {names}", f"它是一个组；请取其中之一：{names}")
        raise BadTask(task=name, problem=problem)
    return next(iter(found.values()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars and lm-eval's own log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
