"""Makes the starter bases side by side, one process each, with a progress bar for each."""

import multiprocessing
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from worker.starter.recipes import BaseRecipe

#: By the end that says the loss of each step: the base, and who makes it.
Makers = dict[Connection, tuple[str, SpawnProcess]]


def make_bases(recipes: Sequence[BaseRecipe], texts: list[str], folder: Path) -> None:
    """Train every base into `folder`/name.

    One thread each: matrices this small gain little from a second one, two bases at once do.
    Raises ChildProcessError when one fails.
    """
    makers = _start(recipes, texts, folder)
    try:
        with _bars() as bars:
            tasks = {
                recipe.name: bars.add_task(
                    recipe.name, total=recipe.first_steps + recipe.steps, loss="preparing"
                )
                for recipe in recipes
            }
            _follow(makers, bars, tasks)
    finally:
        for _, maker in makers.values():
            maker.terminate()
            maker.join()


def _start(recipes: Sequence[BaseRecipe], texts: list[str], folder: Path) -> Makers:
    context = multiprocessing.get_context("spawn")
    makers: Makers = {}
    for recipe in recipes:
        heard, said = context.Pipe(duplex=False)
        work = (recipe, texts, folder / recipe.name, said)
        maker = context.Process(target=_make_one, args=work, daemon=True)
        maker.start()
        said.close()
        makers[heard] = recipe.name, maker
    return makers


def _make_one(recipe: BaseRecipe, texts: list[str], folder: Path, said: Connection) -> None:
    # Only the makers need it: importing it takes seconds.
    import torch

    from worker.starter.bases import make_base

    torch.set_num_threads(1)
    # Products by oneDNN instead of MKL, which keeps to 256 bits on AMD's processors: half the
    # time and the same digits there, bfloat16 where a processor multiplies matrices of it.
    torch.set_float32_matmul_precision("medium")
    make_base(recipe, texts, folder, said.send)


def _follow(makers: Makers, bars: Progress, tasks: Mapping[str, TaskID]) -> None:
    """Move the bars on until every maker has ended."""
    left = dict(makers)
    while left:
        for end in wait(list(left)):
            assert isinstance(end, Connection)
            name, maker = left[end]
            try:
                bars.update(tasks[name], advance=1, loss=f"loss {end.recv():.2f}")
            except EOFError:
                del left[end]
                maker.join()
                if maker.exitcode != 0:
                    raise ChildProcessError(f"{name}: exit code {maker.exitcode}") from None


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
