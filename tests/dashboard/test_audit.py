"""The audit on a job's page: facts as they are, examples with what is trained coloured."""

from pathlib import Path

import filled
from dashboard.audit_view import split
from pages import Open, texts
from shared import db, jobs
from shared.tables import LogLine


def test_an_example_is_split_at_its_marks_even_where_its_end_is_cut() -> None:
    assert split("a⟦b⟧c⟦d⟧") == [("a", False), ("b", True), ("c", False), ("d", True)]
    assert split("a⟦b c") == [("a", False), ("b c", True)]


def test_the_job_page_shows_the_newest_audit(empty_pool: Path, open_page: Open) -> None:
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    with db.writing() as session:
        job = next(each for each in jobs.listing(session) if each.kind == "train")
        job_id = job.id
        for epoch, share in ((1, "11 %"), (2, "22 %")):
            lines = [f"data: {share}", "example 1:\nQ <b>\n⟦A</s>⟧"]
            for text in lines:
                session.add(
                    LogLine(job_id=job_id, epoch=epoch, level="audit", text=text, zh="示例\n⟦A⟧")
                )
    app = open_page("job", id=job_id)
    said = texts(app)
    assert "data: 22 %" in said
    assert not [each for each in app.expander if "11 %" in str(each)]
    drawn = [each.proto.body for each in app.get("html")]
    assert any("&lt;b&gt;" in html and "A&lt;/s&gt;</span>" in html for html in drawn)
