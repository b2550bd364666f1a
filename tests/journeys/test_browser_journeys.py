"""Real clicks in a real Chromium on a pool at work: the whole way to a comparison."""

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from processes import until
from shared import base_models, db, votes
from shared.storage import seal, store
from shared.tables import Adapter
from tiny_bases import write_adapter
from visitors import (
    PATIENCE,
    Visitor,
    badge,
    browser,
    choose,
    heading,
    healthy,
    press,
    working,
    write,
)  # fmt: skip

__all__ = ["browser", "working"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def _upload(page: Page, file: Path, kind: str) -> None:
    """Upload and register a file on the datasets page."""
    page.get_by_test_id("stTopNavLinkContainer").get_by_text("Datasets", exact=True).click()
    heading(page, "Datasets")
    page.get_by_role("radio", name=kind).click()
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("rows can be used")).to_be_visible()
    press(page, "Register")
    expect(page.get_by_text(f"{file.stem} is registered.")).to_be_visible()


def _type(page: Page, label: str, value: str) -> None:
    write(page, page.get_by_label(re.compile(rf"^{label}")).first, value)


def _follow(page: Page, name: str) -> None:
    """The page's own link: the notice that a job has ended brings another of the same name."""
    page.get_by_test_id("stMain").get_by_role("link", name=name).click()


def _submit_and_watch(page: Page, name: str) -> None:
    """Submit the form, open its job, and stay until it has succeeded."""
    press(page, "Submit")
    expect(page.get_by_text(re.compile(f"{name}: (queued|running|succeeded)"))).to_be_visible()
    _follow(page, "Open the job")
    heading(page, name)
    expect(badge(page, "succeeded")).to_be_visible(timeout=2 * PATIENCE)


@pytest.mark.journey
def test_a_training_is_submitted_watched_and_compared(working: Visitor, tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {n}", "input": "", "output": f"{n} it is"} for n in range(32)]
    items = [
        {"prompt": f"Say {n}", "choices": [f"{n} it is", "no"], "answer": 0, "lang": "en"}
        for n in range(12)
    ]
    training, benchmark = tmp_path / "sayings.json", tmp_path / "quiz.jsonl"
    training.write_text(json.dumps(rows))
    benchmark.write_text("".join(json.dumps(item) + "\n" for item in items))
    page = working.open("/")
    _upload(page, training, "training")
    _upload(page, benchmark, "benchmark")

    page.get_by_test_id("stTopNavLinkContainer").get_by_text("New job", exact=True).click()
    heading(page, "New job")
    _type(page, "Adapter name", "sayer")
    choose(page, "Base model", "tiny")
    choose(page, "Dataset", "sayings")
    _type(page, "Epochs", "4")
    _submit_and_watch(page, "sayer")
    expect(page.get_by_test_id("stEChartsChart").first).to_be_visible()
    _follow(page, "Open the adapter")
    heading(page, "sayer")

    press(page, "Use in…")
    page.get_by_role("link", name="Evaluate it").click()
    heading(page, "New job")
    expect(page.get_by_text("Adapter sayer is filled in.")).to_be_visible()
    _type(page, "Comparison name", "did-it-help")
    choose(page, "Benchmarks", "quiz")
    page.keyboard.press("Escape")
    _submit_and_watch(page, "did-it-help")
    _follow(page, "Open the comparison")
    heading(page, "did-it-help")
    row = page.get_by_role("row", name=re.compile("^sayer"))
    expect(row.get_by_text("too few items")).to_be_visible()
    healthy(page)
    assert working.outside == []
    page.context.close()


def _three_adapters(base: Path) -> list[str]:
    """Three random adapters of the base `tiny`, published."""
    names = ["ash", "elm", "oak"]
    with db.writing() as session:
        for seed, name in enumerate(names):
            folder = store().attempt_folder(f"made-{name}", 1) / "out"
            write_adapter(base, folder, seed=seed, scale=0.3)
            digest, uri = seal(folder), store().publish(folder, f"jobs/made-{name}/a1/out")
            own = base_models.find(session, "tiny").fingerprint
            row = Adapter(name=name, uri=uri, sha256=digest, rank=4, method="train",
                          base_model="tiny", base_fingerprint=own)  # fmt: skip
            session.add(row)
    return names


def _exported(page: Page) -> set[str]:
    """How the items changed that the download holds."""
    with page.expect_download() as saved:
        press(page, "Items (CSV)")
    with saved.value.path().open(encoding="utf-8-sig", newline="") as file:
        return {row["flip"] for row in csv.DictReader(file)}


@pytest.mark.journey
def test_three_adapters_are_compared_read_by_flips_exported_and_voted_on(
    working: Visitor, tiny_llama: Path, tmp_path: Path
) -> None:
    made = _three_adapters(tiny_llama)
    words = ("river", "fox", "dog", "sea", "Paris", "brown", "quick", "lazy")
    riddles = [{"prompt": f"Say {n}", "choices": [words[n % 8], words[(n + 1 + n // 8) % 8]],
                "answer": n % 2, "lang": "en"} for n in range(24)]  # fmt: skip
    tell = [{"prompt": f"Tell {n}", "references": ["told"], "lang": "en"} for n in range(4)]
    page = working.open("/")
    for name, items in (("riddles", riddles), ("tell", tell)):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(item) + "\n" for item in items))
        _upload(page, file, "benchmark")
    page = working.open("/submit?kind=evaluate")
    heading(page, "New job")
    # What this person filled in before is kept for them.
    press(page, "Start over")
    expect(page.get_by_test_id("stMultiSelect").get_by_text("sayer")).to_have_count(0)
    _type(page, "Comparison name", "three")
    choose(page, "Base model", "tiny")
    for label, names in (("^Adapters", made), ("^Benchmarks", ["riddles", "tell"])):
        for name in names:
            choose(page, label, name)
            page.keyboard.press("Escape")
    _type(page, "Answer length", "6")
    _submit_and_watch(page, "three")
    _follow(page, "Open the comparison")
    heading(page, "three")
    page.get_by_text(re.compile(r"^(fixed|broken) \d+$")).first.click()
    until(lambda: _exported(page) in ({"fixed"}, {"broken"}), "only flips are exported")
    for count in range(1, 11):
        press(page, "A is better" if count % 2 else "B is better")
        expect(page.get_by_text(f"{count} votes so far")).to_be_visible()
    healthy(page)
    with db.reading() as session:
        assert len(votes.votes(session, "three")) == 10
    page.context.close()
