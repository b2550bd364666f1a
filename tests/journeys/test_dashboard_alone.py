"""The dashboard's extra installs and starts where there is no torch, as its image does it."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.servers import free_port

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
#: Seconds; reached only by a failure.
PATIENCE = 180.0

CHECKOUT = Path(__file__).parents[2]
IMAGE = (CHECKOUT / "infra" / "dashboard.Dockerfile").read_text()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment made by the image's own COPY and RUN lines; its `bin` folder."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "src"
    source.mkdir()
    for copy in re.findall(r"^COPY (?!--from)(.+) \S+$", IMAGE, re.MULTILINE):
        for name in copy.split():
            path = CHECKOUT / name
            if path.is_dir():
                shutil.copytree(path, source / name)
            else:
                shutil.copy(path, source)
    # This environment's pip installs into that one, which needs none of its own.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (install,) = re.findall(r"^RUN --mount\S+ pip (install .+)$", IMAGE, re.MULTILINE)
    words = install.replace("'", "").split()
    done = subprocess.run(
        [*pip(folder / "venv"), *words, "--quiet", "--no-compile"],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shutil.rmtree(source)
    return folder / "venv" / "bin"


def pip(environment: Path) -> list[str | Path]:
    return [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]


@pytest.fixture(scope="module")
def environment(alone: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `graft` is told there; its data folder has tables."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    home = str(tmp_path_factory.mktemp("home"))
    made = kept | {"PATH": f"{alone}:/usr/bin:/bin", "GRAFT_HOME": home}
    assert graft(made, "db", "upgrade").returncode == 0
    return made


def graft(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a container would, from a folder that holds no Graft."""
    return subprocess.run(
        ["graft", *words],
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_the_environment_is_sound_and_has_no_torch(alone: Path) -> None:
    subprocess.run([*pip(alone.parent), "check"], check=True, stdout=subprocess.DEVNULL)
    look = "from importlib.util import find_spec; print(find_spec('torch'), find_spec('peft'))"
    found = subprocess.run(
        [alone / "python", "-c", look], cwd=alone, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["None", "None"]


@pytest.fixture(scope="module")
def served(environment: dict[str, str]) -> Iterator[str]:
    """The address of a dashboard that is up."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    told = environment | {"GRAFT_DASHBOARD_PORT": str(port)}
    with subprocess.Popen(
        ["graft", "dashboard"], env=told, cwd=environment["HOME"], process_group=0
    ) as server:
        try:
            deadline = time.monotonic() + PATIENCE
            while not _answers(address):
                assert server.poll() is None, "the dashboard ended"
                assert time.monotonic() < deadline, "the dashboard did not answer"
                time.sleep(0.1)
            yield address
        finally:
            server.terminate()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=PATIENCE) as answer:
            return answer.read() == b"ok"
    except OSError:
        return False


def test_the_dashboard_starts_and_serves_its_page(served: str) -> None:
    with urllib.request.urlopen(served, timeout=PATIENCE) as page:
        assert b"<title>" in page.read()


def test_the_same_process_answers_the_installed_client(
    alone: Path, environment: dict[str, str], served: str
) -> None:
    script = "import graft, sys; print(graft.Client(sys.argv[1]).hosts(), 'torch' in sys.modules)"
    done = subprocess.run(
        [alone / "python", "-c", script, served],
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout.strip() == "[] False", done.stderr


def test_the_first_page_draws_without_torch(alone: Path, environment: dict[str, str]) -> None:
    script = """
import dashboard, pathlib, sys
from streamlit.testing.v1 import AppTest
entry = pathlib.Path(dashboard.__file__).with_name("app.py")
app = AppTest.from_file(str(entry), default_timeout=180)
app.run()
assert not app.exception, app.exception
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [alone / "python", "-c", script],
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_command_that_needs_torch_says_what_to_install(environment: dict[str, str]) -> None:
    done = graft(environment, "worker")
    assert done.returncode == 3
    assert "'.[worker]'" in done.stderr
    assert "Traceback" not in done.stderr
