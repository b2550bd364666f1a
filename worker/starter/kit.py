"""The starter kit of a data folder: made once, found again by what it is made from."""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shared.starter import lexicon
from shared.starter.world import World
from shared.templates import wordings
from worker.starter.files import Sizes, write_benchmarks, write_datasets
from worker.starter.prose import documents
from worker.starter.recipes import RECIPES, BaseRecipe
from worker.starter.workshop import make_bases


@dataclass(frozen=True)
class KitRecipe:
    """Everything a kit depends on besides the code."""

    seed: int = 0
    sizes: Sizes = field(default_factory=Sizes)
    bases: tuple[BaseRecipe, ...] = RECIPES


@dataclass(frozen=True)
class Kit:
    """Where a kit's parts lie, by name."""

    bases: dict[str, Path]
    datasets: dict[str, Path]
    benchmarks: dict[str, Path]

    def as_json(self) -> dict[str, dict[str, str]]:
        """The kit with paths as text: `{"bases": {name: folder}, ...}`."""
        return {
            part: {name: str(path) for name, path in getattr(self, part).items()}
            for part in ("bases", "datasets", "benchmarks")
        }


def starter_kit(home: Path, recipe: KitRecipe | None = None) -> Kit:
    """The kit in `home`/starter, made first if it is not there yet.

    It appears whole or not at all; whoever asks meanwhile waits for the one who makes it.
    """
    recipe = recipe or KitRecipe()
    shelf = home.expanduser().absolute() / "starter"
    folder = shelf / digest(recipe)
    if not folder.is_dir():
        shelf.mkdir(parents=True, exist_ok=True)
        with _alone(shelf / f"{folder.name}.lock"):
            if not folder.is_dir():
                _make(recipe, folder)
    return _found(folder)


def digest(recipe: KitRecipe) -> str:
    """What a kit's content follows from: the recipe, the code of kit and world, the templates."""
    folders = (Path(__file__).parent, Path(lexicon.__file__).parent)
    sources = [source for folder in folders for source in sorted(folder.glob("*.py"))]
    content = hashlib.sha256(repr(recipe).encode())
    for source in (*sources, Path(wordings.__file__)):
        content.update(source.read_bytes())
    return content.hexdigest()[:16]


def _make(recipe: KitRecipe, folder: Path) -> None:
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    for name in ("bases", "datasets", "benchmarks"):
        (part / name).mkdir(parents=True)
    world = World(recipe.seed)
    write_datasets(world, recipe.sizes, part / "datasets")
    write_benchmarks(world, recipe.sizes, part / "benchmarks")
    texts = [text for _, text in documents(world, recipe.sizes.documents)]
    make_bases(recipe.bases, texts, part / "bases")
    part.rename(folder)


def _found(folder: Path) -> Kit:
    def files(part: str) -> dict[str, Path]:
        return {path.stem: path for path in sorted((folder / part).iterdir())}

    return Kit(files("bases"), files("datasets"), files("benchmarks"))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock file; the system frees it when the process ends, however it ends."""
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
