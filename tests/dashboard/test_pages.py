"""Every page, in both languages, on a pool that has been used and on one that is new."""

from pathlib import Path

import pytest

import filled
from pages import Open, texts
from shared import db, jobs
from shared.config import settings
from shared.errors import LANGUAGES, Language

PAGES = (
    ("jobs", {}), ("submit", {}), ("submit", {"kind": "fuse"}), ("submit", {"kind": "evaluate"}),
    ("compare", {}), ("compare", {"name": filled.COMPARISON}), ("adapters", {}),
    ("adapters", {"name": "fused"}), ("datasets", {}), ("datasets", {"name": "capitals"}),
    ("knowledge", {}), ("knowledge", {"name": filled.KNOWLEDGE}), ("models", {}), ("hosts", {}),
    ("job", {}), ("job", {"id": "longer"}),
    ("job", {"id": "native"}), ("job", {"id": "too-big"}), ("job", {"id": "waiting-1"}),
)  # fmt: skip
TITLES: dict[Language, dict[str, str]] = {
    "en": {
        "jobs": "Jobs", "submit": "New job", "compare": "Compare", "adapters": "Adapters",
        "datasets": "Datasets", "knowledge": "Knowledge",
        "models": "Base models", "hosts": "Hosts", "job": "Job",
    },
    "zh": {
        "jobs": "任务", "submit": "新建任务", "compare": "对比", "adapters": "适配器",
        "datasets": "数据集", "knowledge": "知识库",
        "models": "底座模型", "hosts": "主机", "job": "任务",
    },
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("page", "query"), PAGES)
def test_a_page_of_a_used_pool_draws_without_an_error(
    pool: Path, open_page: Open, page: str, query: dict[str, str], language: Language
) -> None:
    app = open_page(page, language, **query)
    assert not app.exception
    assert len(app.error) == (1 if query.get("id") == "too-big" else 0)
    named = query.get("name") or query.get("id")
    assert app.title[0].value == (named or TITLES[language][page])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", [page for page in TITLES["en"] if page != "job"])
def test_an_empty_page_says_what_to_do_next(
    empty_pool: Path, open_page: Open, page: str, language: Language
) -> None:
    app = open_page(page, language)
    assert not app.exception
    assert not app.error
    hints = [each.value for each in app.markdown if len(each.value) > 8]
    assert hints
    assert len(app.dataframe) == 0


def test_the_switch_changes_the_language_and_a_link_brings_it_along(
    pool: Path, open_page: Open
) -> None:
    app = open_page("models", "en")
    app.button_group(key="_language").select("zh").run()
    assert app.title[0].value == "底座模型"
    app.switch_page("app_pages/hosts.py").run()
    assert app.title[0].value == "主机"
    linked = open_page("models", "zh", lang="en")
    assert linked.title[0].value == "Base models"


def test_jobs_shows_the_newest_first_with_their_progress(pool: Path, open_page: Open) -> None:
    rows = open_page("jobs").dataframe[0].value.to_dict("records")
    newest = ["waiting-2", "waiting-1", "waiting-0", "longer"]
    assert [row["name"] for row in rows[:4]] == newest
    assert rows[3]["progress"] == pytest.approx(0.3)
    assert list(rows[3]["state"]) == ["running"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_link_with_filters_shows_the_same_jobs_in_any_language(
    pool: Path, open_page: Open, language: Language
) -> None:
    app = open_page("jobs", language, state="failed", kind="fuse")
    assert list(app.dataframe[0].value["name"]) == ["naive-copy"]
    assert app.query_params["state"] == "failed"


def test_filters_stand_in_the_address_as_codes(pool: Path, open_page: Open) -> None:
    app = open_page("jobs", "zh")
    app.button_group(key="address.jobs.state").select("cancelled").run()
    assert list(app.dataframe[0].value["name"]) == ["dropped"]
    assert app.query_params["state"] == "cancelled"
    app.button_group(key="address.jobs.state").set_value([]).run()
    app.text_input(key="address.jobs.q").set_value("waiting").run()
    assert len(app.dataframe[0].value) == 3
    assert app.query_params["q"] == "waiting"


def test_filters_that_fit_nothing_say_so(pool: Path, open_page: Open) -> None:
    app = open_page("jobs", q="no such job")
    assert app.info[0].value == "No job fits these filters. Take one away to see more."


def test_fifty_jobs_to_a_page_and_the_rest_on_the_next(empty_pool: Path, open_page: Open) -> None:
    with db.writing() as session:
        for place in range(60):
            filled.add_job(
                session, filled.train_spec(f"n{place:02}"), float(place), filled.JobState.QUEUED
            )
    app = open_page("jobs")
    assert list(app.dataframe[0].value["name"])[::49] == ["n59", "n10"]
    app.button(key="jobs.older").click().run()
    assert list(app.dataframe[0].value["name"]) == [f"n{place:02}" for place in range(9, -1, -1)]
    assert "51–60 of 60" in texts(app)
    app.button(key="jobs.newer").click().run()
    assert next(iter(app.dataframe[0].value["name"])) == "n59"


def test_a_failed_job_says_why_in_the_readers_language(pool: Path, open_page: Open) -> None:
    assert "ran out of memory" in open_page("job", "en", id="too-big").error[0].value
    assert "设备内存不足" in open_page("job", "zh", id="too-big").error[0].value


def test_a_queued_job_says_its_place(pool: Path, open_page: Open) -> None:
    said = open_page("job", "en", id="waiting-1").info[0].value
    assert said.startswith("Queued, 2nd in line.")
    assert "starts at the next look" in said
    in_chinese = open_page("job", "zh", id="waiting-2").info[0].value
    assert in_chinese.startswith("排队中，第 3 位。")
    assert "前面还有 2 个任务" in in_chinese


def test_a_running_job_shows_progress_time_left_and_its_log(pool: Path, open_page: Open) -> None:
    app = open_page("job", id="longer")
    assert app.get("progress")[0].proto.text.startswith("training · 30 / 100 steps · about ")
    assert "step 30: loss" in app.code[0].value


def test_a_job_says_how_a_terminal_and_a_program_get_at_it(pool: Path, open_page: Open) -> None:
    with db.reading() as session:
        job = jobs.find(session, "native")
    shown = texts(open_page("job", id=job.id))
    assert f"graft show {job.id}" in shown
    assert f'.job("{job.id}")\njob.wait().adapter' in shown


def test_an_unknown_job_is_named(pool: Path, open_page: Open) -> None:
    assert 'no job "nonsense"' in open_page("job", id="nonsense").error[0].value


def test_cancel_asks_first_and_then_cancels_that_job(empty_pool: Path, open_page: Open) -> None:
    with db.writing() as session:
        first = filled.add_job(session, filled.train_spec("a"), 1.0, filled.JobState.QUEUED)
        other = filled.add_job(session, filled.train_spec("b"), 2.0, filled.JobState.QUEUED)
    app = open_page("job", id=first.id)
    app.button(key="job.cancel").click().run()
    with db.reading() as session:
        assert jobs.find(session, first.id).state == "queued"
    app.button(key="confirm.cancel").click().run()
    with db.reading() as session:
        assert jobs.find(session, first.id).state == "cancelled"
        assert jobs.find(session, other.id).state == "queued"
        assert jobs.history(session, first.id)[-1].actor == filled.USER


def test_retry_submits_the_same_request_as_a_new_job(empty_pool: Path, open_page: Open) -> None:
    filled.fill(empty_pool, items=3, arms=("base", "native"))
    app = open_page("job", id="too-big")
    app.button(key="job.retry").click().run()
    app.button(key="confirm.retry").click().run()
    with db.reading() as session:
        again = jobs.find(session, "too-big")
        old = jobs.find(session, again.retry_of or "")
    assert again.state == "queued"
    assert again.spec == old.spec


def test_an_adapter_shows_its_lineage_and_its_comparisons(pool: Path, open_page: Open) -> None:
    app = open_page("adapters", name="fused")
    graph = next(each.value for each in app.markdown if "flowchart" in each.value)
    for name in ("tiny-llama", "instructions", "native", "second", "fused"):
        assert name in graph
    links = [link.label for link in app.page_link]
    assert {"native", "second", filled.COMPARISON} <= set(links)


def test_an_unknown_adapter_is_named_with_the_known_ones(pool: Path, open_page: Open) -> None:
    message = open_page("adapters", name="nothing").error[0].value
    assert "nothing" in message
    assert "refreshed" in message


def test_hosts_tells_the_living_from_the_dead(pool: Path, open_page: Open) -> None:
    with db.writing() as session:
        for host in session.exec(filled.select(filled.Host)):
            if host.name == "host-1":
                host.heartbeat_at = session.scalar(filled.select(filled.db_now())) or 0.0
                session.add(host)
    app = open_page("hosts")
    page = texts(app)
    assert page.index("host-1") < page.index("host-2")
    assert [badge for badge in page.splitlines() if "alive" in badge]
    assert "1 of 2 free" in page
    assert "longer" in [link.label for link in app.page_link]


def test_a_database_that_was_never_set_up_is_explained(
    empty_pool: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = empty_pool / "other.db"
    monkeypatch.setenv("GRAFT_DATABASE_URL", f"sqlite:///{database}")
    settings.cache_clear()
    db.engine_for.cache_clear()
    for page in ("jobs", "compare"):
        app = open_page(page)
        assert not app.exception
        assert "graft db upgrade" in app.error[0].value.replace("\\", "")
