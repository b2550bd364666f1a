"""Makes the starter bases side by side, one process each, with a progress bar for each."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from worker.starter.bases import BaseRecipe, make_base

#: Name of the base, and the loss of the step it has just done.
Said = tuple[str, float]


def make_bases(recipes: Sequence[BaseRecipe], texts: list[str], folder: Path) -> None:
    """Train every base into `folder`/name.

    One thread each: matrices this small gain little from a second one, two bases at once do.
    """
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, _bars() as bars:
        said = manager.Queue()
        tasks = {
            recipe.name: bars.add_task(
                recipe.name, total=recipe.first_steps + recipe.steps, loss="preparing"
            )
            for recipe in recipes
        }
        with ProcessPoolExecutor(len(recipes), mp_context=context) as pool:
            makers = [
                pool.submit(_make_one, recipe, texts, folder / recipe.name, said)
                for recipe in recipes
            ]
            _follow(makers, said, bars, tasks)
        for maker in makers:
            maker.result()


def _make_one(recipe: BaseRecipe, texts: list[str], folder: Path, said: Any) -> None:
    torch.set_num_threads(1)
    make_base(recipe, texts, folder, lambda loss: said.put((recipe.name, loss)))


def _follow(makers: list[Future[None]], said: Any, bars: Progress, tasks: dict[str, Any]) -> None:
    while not all(maker.done() for maker in makers) or not said.empty():
        try:
            name, loss = said.get(timeout=0.2)
        except Empty:
            continue
        bars.update(tasks[name], advance=1, loss=f"loss {loss:.2f}")


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
