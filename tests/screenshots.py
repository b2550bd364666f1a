"""Pictures of every page of the dashboard on a filled pool: `make screenshots`.

Both languages, light and dark, a desk's width and a phone's, as docs/screenshots/NAME.webp.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Literal

import click
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from sqlmodel import Session, select

import filled
from processes import until
from shared import adapter_library, db, schema
from shared.config import settings
from shared.people.actors import local_actor
from shared.tables import Attempt, Host, Job, JobState, Share

#: What a page is called in file names, and its address.
PAGES = {
    "jobs": "/",
    "job": "/job?id=native",
    "job-failed": "/job?id=too-big",
    "submit": "/submit",
    "compare": "/compare?name=first-look",
    "comparisons": "/compare",
    "playground": "/playground",
    "adapters": "/adapters",
    "adapter": "/adapters?name=fused",
    "datasets": "/datasets",
    "dataset": "/datasets?name=instructions",
    "knowledge": "/knowledge?name=notes",
    "models": "/models",
    "hosts": "/hosts",
    "sign-in": "/sign-in",
}
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = {"desk": (1440, 1000), "phone": (390, 844)}
CHROMIUM = Path("/usr/bin/chromium")
#: Milliseconds for a page to be drawn whole.
PATIENCE = 60_000


@contextmanager
def dashboard() -> Iterator[str]:
    """The address of a dashboard on a pool that has been used."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as home:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        os.environ |= {
            "GRAFT_HOME": home, "GRAFT_DASHBOARD_PORT": str(port), "GRAFT_USER": filled.USER,
        }  # fmt: skip
        settings.cache_clear()
        schema.upgrade()
        filled.fill(Path(home))
        with db.writing() as session:
            actor = local_actor()
            adapter_library.describe(
                session, "fused", actor=actor, tags=["summaries", "bilingual"],
                note="Summaries and capitals in one adapter. 摘要与首都问答合为一个适配器。",
            )  # fmt: skip
            adapter_library.promote(session, "fused", actor=actor)
            # The host that answers goes on answering while the pictures are taken.
            host = session.get_one(Host, "host-1")
            add_use(session, host.heartbeat_at)
            running = session.exec(select(Job.id).where(Job.state == JobState.RUNNING)).one()
            host.heartbeat_at += 3600
            host.idle = {running: 780.0}
            session.get_one(Attempt, (running, 1)).cards = [0]
            session.get_one(Job, running).started_at = host.started_at + 600
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard"], cwd=home, stdout=subprocess.DEVNULL
        )
        try:
            until(lambda: _answers(port), "the dashboard answers")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def add_use(session: Session, now: float) -> None:
    """A month of jobs of several people in two projects, fewer at weekends."""
    chance = random.Random(5)
    people = {"ann": 6.0, "bo": 4.0, "chen": 3.0, "dai": 1.5, filled.USER: 1.0}
    for day in range(1, 30):
        for name, hours in people.items():
            if chance.random() < (0.35 if day % 7 < 2 else 0.85):
                began = now - day * 86_400 + chance.random() * 20_000
                spec = filled.train_spec(f"{name}-{day}")
                job = filled.add_job(session, spec, began, JobState.SUCCEEDED)
                attempt = session.get_one(Attempt, (job.id, 1))
                attempt.gpu_seconds = 3600 * hours * chance.uniform(0.4, 1.3)
                attempt.ended_at = job.finished_at = began + attempt.gpu_seconds
                job.user, job.project = name, "dialects" if name in ("bo", "dai") else "default"
    for place, name in enumerate(people):
        project = "dialects" if name in ("bo", "dai") else "default"
        used = people[name] * 30_000
        session.merge(Share(project=project, user=name, used=used, used_at=now - place))


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def drawn(page: Page) -> None:
    """Wait until every chart and table is there; a page of Streamlit's is then at rest."""
    page.get_by_role("heading", level=1).first.wait_for(timeout=PATIENCE)
    page.wait_for_function(
        "() => !document.querySelector('#root')"
        " || document.querySelector('[data-test-script-state=notRunning]')"
        " && !document.querySelector('[data-testid*=keleton]')",
        timeout=PATIENCE,
    )
    page.evaluate("() => document.fonts.ready")
    page.wait_for_timeout(700)


def take(browser: Browser, url: str, folder: Path, chosen: list[str], languages: list[str]) -> None:
    """One file for each page, language, theme and width."""
    for language, theme, (width, size) in product(languages, THEMES, WIDTHS.items()):
        context = browser.new_context(
            locale=LOCALES[language], color_scheme=theme,
            viewport={"width": size[0], "height": size[1]},
        )  # fmt: skip
        page = context.new_page()
        for name in chosen:
            page.goto(url + PAGES[name])
            drawn(page)
            picture = Image.open(BytesIO(page.screenshot()))
            path = folder / f"{name}-{language}-{theme}-{width}.webp"
            picture.save(path, quality=80, method=6)
            click.echo(path)
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--pages", nargs="*", choices=list(PAGES), default=list(PAGES))
    parser.add_argument("--languages", nargs="*", choices=list(LOCALES), default=list(LOCALES))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with dashboard() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        take(browser, url, given.out.absolute(), given.pages, given.languages)
        browser.close()


if __name__ == "__main__":
    main()
