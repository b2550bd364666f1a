"""The Python client says and gets the same in process and over a real server."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from sqlmodel import delete

import filled
import graft
import pools
from calling import serving
from graft.remote import Remote
from shared import db, judges, leases, results
from shared.api.pool import Pool
from shared.errors import BadRows, InvalidSpec, JobEnded, NotReachable, StillRunning, UnknownJob
from shared.people.actors import Actor, local_actor
from shared.people.tokens import Scope
from shared.people.tokens import create as make_token
from shared.specs import JudgeSpec
from shared.storage import store
from shared.tables import Vote
from shared.verdicts import Verdict


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose pool has been used."""
    home = tmp_path_factory.mktemp("pool")
    with pytest.MonkeyPatch.context() as patch:
        pools.use(patch, home)
        pools.forget()
        pools.upgrade()
        filled.fill(home)
        pools.forget()
    return home


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """The API over that pool, on a real port."""
    with serving() as url:
        yield url


@pytest.fixture(params=["in process", "served"])
def client(
    request: pytest.FixtureRequest, home: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[graft.Client]:
    """The client in process, and the same over HTTP."""
    pools.use(monkeypatch, home, user=filled.USER)
    served = request.param == "served"
    yield graft.Client(address if served else None, language="en")
    pools.forget()


def test_both_ways_offer_the_same(client: graft.Client) -> None:
    for desk, there in vars(Remote(cast(Any, None))).items():
        here = getattr(Pool(local_actor()), desk)
        for name, method in inspect.getmembers(there, inspect.ismethod):
            if not name.startswith("_"):
                own, wanted = inspect.signature(method), inspect.signature(getattr(here, name))
                assert list(own.parameters.values()) == list(wanted.parameters.values()), name


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ("sqlalchemy", "celery", "torch", "numpy", "click")
    script = f"import graft, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_job_is_submitted_found_moved_and_cancelled(client: graft.Client) -> None:
    job = client.train(filled.HOST_BASE, filled.TRAINING, rank=4, priority=2)
    assert (job.state, job.spec["rank"], job.answer.priority) == ("queued", 4, 2)
    assert job.url.endswith(f"/job?id={job.id}")
    assert client.job(job.id[:8]).name == job.name
    assert job.reprioritise(7).answer.priority == 7
    assert job.why().place is not None
    with pytest.raises(StillRunning) as running:
        job.wait(timeout=0)
    assert job.url in str(running.value)
    assert job.cancel().state == "cancelled"
    again = job.retry()
    assert again.answer.retry_of == job.id
    again.cancel()
    assert job.id in [each.id for each in client.jobs(states=["cancelled"])]


def test_waiting_ends_with_what_the_job_made_or_why_it_did_not(client: graft.Client) -> None:
    seen: list[str] = []
    adapter = client.job("native").wait(progress=lambda job: seen.append(job.state)).adapter
    assert (adapter.base, adapter.rank, seen) == (filled.HOST_BASE, 8, ["succeeded"])
    with pytest.raises(JobEnded) as failed:
        client.job("naive-copy").wait()
    assert failed.value.params["cause"] == "no-op"
    assert "no module of the donor fits" in str(failed.value)


def test_waiting_notices_the_end_of_a_job_that_runs(client: graft.Client) -> None:
    job = client.train(filled.HOST_BASE, filled.TRAINING)

    def stop(seen: graft.Job) -> None:
        if not seen.answer.ended:
            with db.writing() as session:
                leases.cancel(session, seen.id, actor="somebody")

    with pytest.raises(JobEnded, match="cancelled"):
        job.wait(progress=stop)


def test_a_plan_and_a_grid(client: graft.Client) -> None:
    spec = {
        "kind": "train", "name": "planned", "base_model": filled.HOST_BASE,
        "dataset": filled.TRAINING,
    }  # fmt: skip
    plans = client.plan(spec, sweep={"rank": [4, 8]})
    assert [plan.name for plan in plans] == ["planned-1", "planned-2"]
    assert plans[0].vram_mb > 0
    assert list(client.jobs(text="planned")) == []
    key = f"grid-{type(client.pool).__name__}"
    made = client.submit(spec | {"name": key}, sweep={"rank": [4, 8]}, key=key)
    same = client.submit(spec | {"name": key}, sweep={"rank": [4, 8]}, key=key)
    assert [job.id for job in made] == [job.id for job in same]
    for job in made:
        job.cancel()


def test_the_log_the_numbers_and_the_events_come_whole(client: graft.Client) -> None:
    job = client.job("native")
    assert len(list(job.logs(follow=True))) == 60
    assert [point.step for point in job.stream_metrics()] == list(range(1, 61))
    assert job.metrics()[-1].values["loss"] < job.metrics()[0].values["loss"]
    assert [event.kind for event in job.events()][:2] == ["submitted", "claimed"]


def test_a_comparison_has_verdicts_and_files(client: graft.Client, tmp_path: Path) -> None:
    made = client.comparison(filled.COMPARISON)
    by_arm = {row.arm: row for row in made.rows() if row.key == "capitals/accuracy/all"}
    assert by_arm["native"].verdict == "better"
    assert made.worse() == []
    worse = made.against("native").worse()
    assert "base" in [row.arm for row in worse]
    assert made.against("native").worse(margin=5.0) == []
    made.to_csv(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert filled.COMPARISON in made.to_markdown()


def test_a_judge_is_asked_and_its_votes_are_read(client: graft.Client) -> None:
    made = client.comparison(filled.COMPARISON)
    job = client.judge(filled.HOST_BASE, made, items=7, against="all")
    assert (job.spec["comparison"], job.spec["items"]) == (filled.COMPARISON, 7)
    job.cancel()
    with db.writing() as session:
        session.execute(delete(Vote))
        spec = JudgeSpec(name="j", comparison=made.name, base_model=filled.HOST_BASE)
        said = Verdict(
            benchmark="summaries", item_hash="h", first="base", second="native",
            margins=(0.0, 0.0),
        )  # fmt: skip
        judges.record(session, spec, [said])
    told = made.votes()
    assert told["people"]["pairs"] == []
    [judge] = told["judges"]
    assert (judge["judge"], judge["pairs"], judge["flips"]["value"]) == (filled.HOST_BASE, 1, 1.0)
    # It preferred neither place, so there is no share of the first.
    assert judge["first_place"]["value"] is None
    assert {each["arm"] for each in judge["rates"]["pairs"]} == {"base", "native"}


def test_files_go_both_ways(client: graft.Client, tmp_path: Path) -> None:
    folder = client.adapter("native").download(tmp_path / "native")
    with db.reading() as session:
        published = store().open_path(results.adapter(session, "native").uri)
    weights = "adapter_model.safetensors"
    assert (folder / weights).read_bytes() == (published / weights).read_bytes()
    with pytest.raises(graft.GraftError, match="not empty"):
        client.adapter("native").download(folder)
    table = tmp_path / "rows.csv"
    table.write_text("instruction,output\nsay a,b\n")
    assert client.add_dataset(f"rows-{type(client.pool).__name__}", table).rows == 1
    table.write_text("instruction,output\nsay a,b\n,\n")
    with pytest.raises(BadRows) as wrong:
        client.add_dataset("rows-bad", table)
    assert len(wrong.value.params["each"]) == 1


def test_an_adapter_is_described_found_by_its_tag_and_promoted(client: graft.Client) -> None:
    tag = type(client.pool).__name__.lower()
    adapter = client.adapter("fused").describe(note="For reviews.", tags=[tag, "zh"], promoted=True)
    assert (adapter.note, adapter.tags, adapter.promoted) == ("For reviews.", [tag, "zh"], True)
    assert [each.name for each in client.adapters(tags=["zh", tag])] == ["fused"]
    assert adapter.describe(promoted=False).tags == [tag, "zh"]
    assert not client.adapter("fused").promoted
    with pytest.raises(InvalidSpec, match="tags"):
        adapter.describe(tags=["one, two"])


def test_a_knowledge_base_is_asked_and_added_to(client: graft.Client) -> None:
    sample = {"instruction": f"Who is {type(client.pool).__name__}?", "output": "A way to ask."}
    assert len(client.add_samples(filled.KNOWLEDGE, [sample]).ids) == 1
    assert client.ask(filled.KNOWLEDGE, sample["instruction"])[-1].output == "A way to ask."


def test_mistakes_are_the_servers_own_errors(client: graft.Client) -> None:
    with pytest.raises(UnknownJob, match="There is no job"):
        client.job("nothing-such")
    with pytest.raises(InvalidSpec, match="rank"):
        client.train(filled.HOST_BASE, filled.TRAINING, rank="eight")
    with pytest.raises(InvalidSpec, match="no such field"):
        client.fuse(["native", "second"], "ties", densty=0.5)


def test_a_client_of_another_person_may_do_what_their_token_says(
    home: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools.use(monkeypatch, home, user=filled.USER)
    with db.writing() as session:
        text = make_token(session, "ann", Scope.READ, actor=Actor.admin("ann")).text
    viewer = graft.Client(address, text)
    assert viewer.adapter("native").name == "native"
    with pytest.raises(graft.GraftError) as refused:
        viewer.job("waiting-0").cancel()
    assert refused.value.code() == "forbidden"
    pools.forget()


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(NotReachable, match=r"http://127\.0\.0\.1:9"):
        graft.Client("http://127.0.0.1:9").models()
