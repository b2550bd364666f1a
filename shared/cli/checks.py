"""The checks of `graft doctor`: each looks at one thing and says what would mend it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from redis import Redis
from redis.exceptions import RedisError

from shared import db, schema
from shared.cli.session import live_hosts
from shared.config import settings
from shared.errors import GraftError, NotReachable, SchemaOutdated
from shared.language import language, say
from shared.storage import store

State = Literal["ok", "warn", "fail"]
#: Free space below which the store is short of room, and below which nothing can be published.
SHORT_OF_ROOM = 10 << 30
NO_ROOM = 1 << 30
_EXTRAS = {
    "worker": ("torch", "transformers", "peft", "safetensors"),
    "dashboard": ("streamlit", "altair"),
}


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and the remedy where it is not well."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def all_checks() -> list[Check]:
    """Every check, in the order in which a pool needs them."""
    checks = [*packages(), database()]
    if checks[-1].state == "ok":
        checks.append(workers())
    return [*checks, broker(), *storage(), gpus()]


def packages() -> Iterable[Check]:
    """Which parts of Graft are installed, with their versions?"""
    yield Check("Python", "ok", ".".join(str(part) for part in sys.version_info[:3]))
    yield Check("graft", "ok", _versions(("graft", "celery", "sqlmodel")) or "")
    for extra, names in _EXTRAS.items():
        found = _versions(names)
        remedy = f'pip install -c requirements.lock -e ".[{extra}]"'
        if found is None:
            absent = say("not installed; this machine cannot run it", "未安装；本机不能运行")
            yield Check(extra, "warn", absent, remedy)
        else:
            yield Check(extra, "ok", found)


def _versions(names: tuple[str, ...]) -> str | None:
    try:
        return ", ".join(f"{name} {version(name)}" for name in names)
    except PackageNotFoundError:
        return None


def database() -> Check:
    """Does the database answer, and are its tables of this revision?"""
    name = say("database", "数据库")
    try:
        schema.check()
        return Check(name, "ok", f"{db.engine().url.render_as_string()} @ {schema.current()}")
    except SchemaOutdated as wrong:
        return Check(name, "fail", wrong.message(language()), "graft db upgrade")
    except NotReachable as wrong:
        remedy = say("Check GRAFT_DATABASE_URL.", "请检查 GRAFT_DATABASE_URL。")
        return Check(name, "fail", wrong.message(language()), remedy)


def workers() -> Check:
    """Has any worker been heard of lately?"""
    with db.reading() as session:
        count = live_hosts(session)
    name = say("workers", "工作主机")
    if count:
        return Check(name, "ok", say(f"{count} up", f"{count} 台在线"))
    remedy = say("Start one: graft up, or graft worker.", "请启动：graft up 或 graft worker。")
    return Check(name, "warn", say("none; jobs will wait", "无；任务将等待"), remedy)


def broker() -> Check:
    """Does the broker answer?"""
    name = say("broker", "消息代理")
    url = settings().broker
    if url is None:
        detail = say("none; workers poll the database", "无；工作进程轮询数据库")
        return Check(name, "ok", detail)
    try:
        with _client(url) as client:
            client.ping()
        return Check(name, "ok", _without_password(url))
    except (RedisError, OSError, ValueError) as wrong:
        remedy = say(
            "Jobs still run, more slowly. Start it, or check GRAFT_BROKER_URL.",
            "任务仍会运行，只是较慢。请启动它，或检查 GRAFT_BROKER_URL。",
        )
        return Check(name, "warn", f"{_without_password(url)}: {wrong}", remedy)


def _client(url: str) -> Redis:
    if url.startswith("redis+socket://"):
        path = url.removeprefix("redis+socket://").split("?")[0]
        return Redis(unix_socket_path=path, socket_timeout=3)
    return Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3)


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def storage() -> Iterable[Check]:
    """Can the store be written, and how much room is left?"""
    name = say("store", "存储")
    where = settings().store
    try:
        local = store().local
        if local is not None:
            with tempfile.TemporaryFile(dir=local):
                pass
    except (OSError, GraftError, ValueError, ImportError) as wrong:
        remedy = say("Check GRAFT_STORE_URL and its rights.", "请检查 GRAFT_STORE_URL 及其权限。")
        yield Check(name, "fail", f"{where}: {wrong}", remedy)
        return
    yield Check(name, "ok", where)
    if local is not None:
        yield _room(local)


def _room(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    detail = say(f"{free / 2**30:.1f} GiB free", f"剩余 {free / 2**30:.1f} GiB")
    state: State = "fail" if free < NO_ROOM else "warn" if free < SHORT_OF_ROOM else "ok"
    remedy = say("Free some space.", "请腾出空间。") if state != "ok" else ""
    return Check(say("disk", "磁盘"), state, detail, remedy)


def gpus(run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run) -> Check:
    """Which GPUs does the driver see?"""
    name = "GPU"
    none = Check(name, "ok", say("none; jobs run on the CPU", "无；任务在 CPU 上运行"))
    if shutil.which("nvidia-smi") is None:
        return none
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    remedy = say("Check the NVIDIA driver.", "请检查 NVIDIA 驱动。")
    try:
        asked = run(command, capture_output=True, text=True, timeout=20, check=True)
    except (subprocess.SubprocessError, OSError) as wrong:
        return Check(name, "warn", f"nvidia-smi: {wrong}", remedy)
    cards = [line.strip() for line in asked.stdout.splitlines() if line.strip()]
    return Check(name, "ok", "; ".join(cards)) if cards else none
