"""The compose files and images name programs, settings and files that exist."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.cli.root import root
from shared.config import Settings

CHECKOUT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
GPU = yaml.safe_load((CHECKOUT / "docker-compose.gpu.yml").read_text())
IMAGES = sorted((CHECKOUT / "infra").glob("*.Dockerfile"))
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
#: Programs that our services may name; the images' base has Python.
ENTRY_POINTS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]


def _commands() -> list[tuple[str, list[str]]]:
    """Every command line that one of our containers runs, as (where, words)."""
    found = [(f"{name} command", service["command"]) for name, service in OURS.items()]
    found += [
        (f"{name} healthcheck", service["healthcheck"]["test"][1:])
        for name, service in OURS.items()
        if "healthcheck" in service
    ]
    for image in IMAGES:
        line = re.search(r"^CMD (\[.*\])$", image.read_text(), re.MULTILINE)
        assert line is not None, f"{image.name} has no CMD in list form"
        found.append((image.name, yaml.safe_load(line.group(1))))
    return found


@pytest.mark.parametrize(("where", "words"), _commands(), ids=lambda value: str(value))
def test_every_command_of_a_container_exists(where: str, words: list[str]) -> None:
    program, *rest = words
    if program == "graft":
        assert program in ENTRY_POINTS
        command: Any = root
        for word in rest:
            command = command.commands[word]
        assert callable(command.callback)
    elif rest[0] == "-m":
        assert find_spec(f"{rest[1]}.__main__") is not None
    else:
        assert (program, rest[0]) == ("python", "-c")
        compile(rest[1], where, "exec")


def _variables() -> set[str]:
    text = "".join(path.read_text() for path in [CHECKOUT / "docker-compose.yml", *IMAGES])
    return set(re.findall(r"\bGRAFT_[A-Z_]+\b(?=[:=])(?!:-)", text))


def test_every_graft_variable_is_a_setting() -> None:
    known = {f"GRAFT_{field.upper()}" for field in Settings.model_fields}
    assert _variables() >= {"GRAFT_DATABASE_URL", "GRAFT_BROKER_URL", "GRAFT_STORE_URL"}
    assert _variables() <= known


def test_nothing_of_ours_starts_before_the_tables_are_current() -> None:
    for name in OURS.keys() - {"migrate"}:
        condition = OURS[name]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully", name
    assert OURS["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_the_dashboard_and_the_workers_share_one_artifact_store() -> None:
    for name in ("dashboard", "worker"):
        assert "store:/var/lib/graft/store" in OURS[name]["volumes"]
        assert OURS[name]["environment"]["GRAFT_STORE_URL"] == "/var/lib/graft/store"


def test_the_broker_keeps_its_hints_on_disk_and_evicts_none() -> None:
    command = " ".join(COMPOSE["services"]["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert "--requirepass" in command


def test_no_password_is_written_down_and_no_port_is_open_to_the_world() -> None:
    for name, service in COMPOSE["services"].items():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key or key == "REDISCLI_AUTH":
                assert re.fullmatch(r"\$\{\w+:\?.*\}", value), f"{name}: {key}"
        for port in service.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${GRAFT_POOL_ADDRESS:-127.0.0.1}:")), name


def test_every_volume_is_declared_and_used() -> None:
    used = {
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service["volumes"]
        if re.match(r"[a-z]", volume)
    }
    assert used == set(COMPOSE["volumes"])


def test_the_gpu_file_only_adds_to_the_worker() -> None:
    assert list(GPU) == ["services"]
    assert list(GPU["services"]) == ["worker"]
    (device,) = GPU["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_an_image_copies_files_that_exist_and_is_allowed_to_see_them(image: Path) -> None:
    allowed = (CHECKOUT / ".dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", image.read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert "shared" in sources
    for source in sources:
        assert (CHECKOUT / source).exists(), source
        assert f"!{source}" in allowed, source


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_an_image_installs_the_locked_versions_and_does_not_run_as_root(image: Path) -> None:
    text = image.read_text()
    extra = image.name.split(".")[0]
    cached = "pip install --cache-dir /var/cache/pip"
    assert f"{cached} --constraint requirements.lock '.[{extra}]'" in text
    assert text.index("\nUSER graft\n") < text.index("\nCMD ")
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.11-slim"}


def test_each_built_service_uses_an_image_file_that_exists() -> None:
    named = {service["build"]["dockerfile"] for service in OURS.values()}
    assert named == {f"infra/{image.name}" for image in IMAGES}
