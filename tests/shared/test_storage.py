"""The artifact store: complete or invisible, wherever it is."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BadData, StoreAway
from shared.storage import MANIFEST, Store, damage, seal

KEY = "jobs/j/a1/out"


@pytest.fixture
def remote(tmp_path: Path) -> Store:
    return Store(f"memory://{tmp_path}/store", tmp_path / "cache")


def elsewhere(remote: Store, tmp_path: Path) -> Store:
    """The same store, as another host sees it."""
    return Store(remote.url, tmp_path / "elsewhere")


def made(store: Store) -> Path:
    folder = store.attempt_folder("j", 1) / "out"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights").write_text("w" * 1000)
    (folder / "config").write_text("c")
    seal(folder)
    return folder


def test_another_host_reads_what_was_published(remote: Store, tmp_path: Path) -> None:
    uri = remote.publish(made(remote), KEY)
    fetched = elsewhere(remote, tmp_path).open_path(uri)
    assert damage(fetched) == ""
    assert (fetched / "deep" / "weights").read_text() == "w" * 1000


def test_the_manifest_is_put_last(remote: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[str] = []
    monkeypatch.setattr(remote.remote, "put_file", lambda path, key: put.append(key))
    remote.publish(made(remote), KEY)
    assert len(put) == 3
    assert put[-1].endswith(MANIFEST)


def test_a_folder_that_arrives_damaged_is_never_used(remote: Store, tmp_path: Path) -> None:
    uri = remote.publish(made(remote), KEY)
    remote.remote.pipe_file(f"{remote.prefix}/{uri}/config", b"other")
    host = elsewhere(remote, tmp_path)
    with pytest.raises(StoreAway, match="config"):
        host.open_path(uri)
    assert not (host.cache / uri).exists()
    assert list((host.cache / uri).parent.glob("*.tmp")) == []


def test_threads_that_fetch_the_same_folder_all_get_it_whole(
    remote: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = remote.publish(made(remote), KEY)
    host = elsewhere(remote, tmp_path)
    # Readers of a file in memory share one place in it, which those of a real store do not.
    reading, read = threading.Lock(), host.remote.get_file

    def one_at_a_time(*args: Any, **options: Any) -> Any:
        with reading:
            return read(*args, **options)

    monkeypatch.setattr(host.remote, "get_file", one_at_a_time)
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: host.open_path(uri), range(16)))
    assert [damage(folder) for folder in found] == [""]
    assert list(found.pop().parent.glob("*.tmp")) == []


def test_a_store_that_does_not_answer_is_named(
    remote: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise ConnectionError("no route to host")

    folder = made(remote)
    monkeypatch.setattr(remote.remote, "put_file", away)
    with pytest.raises(StoreAway, match=r"memory://.*no route to host"):
        remote.publish(folder, KEY)


@pytest.mark.parametrize("url", ["memory://x", "folder"])
def test_a_path_never_leads_out_of_the_store(url: str, tmp_path: Path) -> None:
    store = Store(url if "://" in url else str(tmp_path / url), tmp_path / "cache")
    with pytest.raises(BadData):
        store.open_path("../secret")


@pytest.mark.parametrize("kind", ["remote", "folder"])
def test_removing_takes_all_of_a_folder_and_may_be_repeated(kind: str, tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/store" if kind == "remote" else str(tmp_path / "store")
    store = Store(url, tmp_path / "cache")
    store.publish(made(store), KEY)
    assert store.listing() == [("j", "a1")]
    store.remove("jobs/j/a1")
    store.remove("jobs/j/a1")
    assert store.listing() == []
