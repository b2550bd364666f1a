"""`python -m infra.lock > requirements.lock`: pin what is installed and what Graft needs of it."""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
HEADER = """\
# The exact versions Graft is built and tested with: every package that the extras worker,
# dashboard, oidc, embedded, s3 and test bring in on Linux, and nothing else. Used as constraints
# (pip install -c), so that each extra installs only its own part. Written by `make lock`.
"""
#: Extras that pin what they need themselves and are installed by who wants them.
APART = ("lm-eval",)
#: What the GPU builds of torch add; each torch pins its own exactly.
_OF_TORCH = ("nvidia-", "cuda-", "triton")


def declared() -> list[Requirement]:
    """The requirements of pyproject.toml, all locked extras together."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].items()
    groups = [project["dependencies"], *(group for name, group in extras if name not in APART)]
    return [Requirement(line) for group in groups for line in group]


def closure(wanted: list[Requirement]) -> dict[str, str]:
    """Name -> installed version of everything `wanted` needs, directly or not.

    Raises PackageNotFoundError for one that is not installed.
    """
    pins: dict[str, str] = {}
    seen: set[str] = set()
    todo = list(wanted)
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if str(requirement) in seen or name.startswith(_OF_TORCH):
            continue
        seen.add(str(requirement))
        found = distribution(name)
        # A build's local label (+cpu, +cu130) is the index's business.
        pins[name] = found.version.split("+")[0]
        children = [Requirement(line) for line in found.requires or []]
        todo += [child for child in children if _applies(child, requirement.extras)]
    return pins


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def main() -> None:
    """Print the lock of this environment."""
    try:
        pins = closure(declared())
    except PackageNotFoundError as missing:
        sys.exit(f"{missing}; install every extra first: make venv")
    sys.stdout.write(HEADER + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)))


if __name__ == "__main__":
    main()
