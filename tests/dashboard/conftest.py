"""A filled pool, and the dashboard on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select
from streamlit.components.v2 import manifest_scanner

import filled
import pools
from pages import Open, draw
from shared import db
from shared.clock import db_now
from shared.tables import Host


@pytest.fixture(scope="session", autouse=True)
def _packages_are_searched_once() -> Iterator[None]:
    """Each AppTest reads what all installed packages say of themselves, to find components."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture
def empty_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A database with every table and no row."""
    pools.use(monkeypatch, tmp_path / "home", user=filled.USER)
    pools.upgrade()
    yield tmp_path
    pools.forget()


@pytest.fixture(scope="module")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose pool has been used; the tests of a module share it."""
    home = tmp_path_factory.mktemp("pool")
    with pytest.MonkeyPatch.context() as patch:
        pools.use(patch, home)
        filled.fill(home)
        pools.forget()
    return home


@pytest.fixture
def pool(filled_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process on the filled pool."""
    pools.use(monkeypatch, filled_home, user=filled.USER)
    # On a slow machine the lease of the host that answers would run out between two tests.
    with db.writing() as session:
        session.get_one(Host, "host-1").heartbeat_at = session.scalar(select(db_now())) or 0.0
    yield filled_home
    pools.forget()


@pytest.fixture
def open_page() -> Open:
    """`open_page("compare", "zh", name="first-look")`: a page drawn for a visitor."""
    return draw


@pytest.fixture
def small(empty_pool: Path) -> Path:
    """A pool of this test's own, for tests that submit."""
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    return empty_pool
