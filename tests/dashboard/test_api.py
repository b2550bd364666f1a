"""The REST API: who may call it, what it refuses, and what comes back, beyond its description."""

import errno
import io
import json
import zipfile
from pathlib import Path

import pytest

import filled
from calling import Caller
from shared import db, jobs
from shared.api import archives
from shared.people.actors import Actor, Role
from shared.people.tokens import Scope
from shared.people.tokens import create as make_token
from shared.tables import Account

TRAIN: dict[str, dict[str, str]] = {
    "spec": {
        "kind": "train", "name": "by-api", "base_model": filled.HOST_BASE,
        "dataset": filled.TRAINING,
    }
}  # fmt: skip


@pytest.fixture
def here(pool: Path) -> Caller:
    """A program of this machine."""
    return Caller("127.0.0.1", "localhost:8501")


@pytest.fixture
def away(pool: Path) -> Caller:
    """A program of another machine."""
    return Caller("10.0.0.7", "pool.lan:8501")


def _token(user: str, scope: Scope) -> dict[str, str]:
    with db.writing() as session:
        made = make_token(session, user, scope, actor=Actor.admin(user))
    return {"Authorization": f"Bearer {made.text}"}


def test_this_machine_needs_no_token_and_another_one_does(here: Caller, away: Caller) -> None:
    assert here.get("jobs").status_code == 200
    refused = away.get("jobs")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert away.get("jobs", headers={"Authorization": "Bearer graft_x"}).status_code == 401
    assert away.get("jobs", headers=_token("ann", Scope.READ)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "10.0.0.7"},
        {"Origin": "http://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "elsewhere.example"},
    ],
)
def test_a_proxy_and_a_page_of_another_site_are_not_this_machine(
    here: Caller, headers: dict[str, str]
) -> None:
    assert here.post("jobs/waiting-0/cancel", headers=headers).status_code == 401


def test_where_the_pool_has_accounts_this_machine_needs_a_token_too(
    empty_pool: Path,
) -> None:
    here = Caller("127.0.0.1", "localhost:8501")
    assert here.get("jobs").status_code == 200
    with db.writing() as session:
        session.add(Account(name="ann", role=Role.ADMIN))
    assert here.get("jobs").status_code == 401
    assert here.get("jobs", headers=_token("ann", Scope.READ)).status_code == 200


def test_a_token_may_do_what_its_scope_says_and_to_its_own_jobs_only(away: Caller) -> None:
    reader, member = _token("ann", Scope.READ), _token("ann", Scope.SUBMIT)
    assert away.post("jobs", json=TRAIN, headers=reader).status_code == 403
    assert away.post("jobs/waiting-0/cancel", headers=member).status_code == 403
    assert away.post("hosts/host-1/drain", headers=member).status_code == 403
    body = TRAIN | {"spec": TRAIN["spec"] | {"name": "anns"}}
    (job,) = away.post("jobs", json=body, headers=member).json()
    assert job["user"] == "ann"
    assert job["url"] == f"http://pool.lan:8501/job?id={job['id']}"
    cancelled = away.post(f"jobs/{job['id']}/cancel", headers=member)
    assert cancelled.json()["state"] == "cancelled"


def test_a_problem_says_thing_and_remedy_in_the_callers_language(here: Caller) -> None:
    answer = here.get("jobs/nothing-such", headers={"Accept-Language": "de, zh-CN;q=0.8, en;q=0.2"})
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "zh"
    assert (problem["status"], problem["code"]) == (404, "unknown-job")
    assert problem["detail"].startswith("没有任务“nothing-such”")
    assert "There is no job" in here.get("jobs/nothing-such").json()["detail"]


def test_the_same_key_gives_the_same_job_and_another_request_is_refused(here: Caller) -> None:
    headers = {"Idempotency-Key": "night-1"}
    body = TRAIN | {"spec": TRAIN["spec"] | {"name": "once"}}
    first = here.post("jobs", json=body, headers=headers)
    assert first.status_code == 201
    assert here.post("jobs", json=body, headers=headers).json()[0]["id"] == first.json()[0]["id"]
    other = TRAIN | {"spec": TRAIN["spec"] | {"name": "twice"}}
    refused = here.post("jobs", json=other, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "key-reused")


def test_pages_by_cursor_hold_every_job_once(here: Caller) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        page = here.get("jobs", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
        if cursor is None:
            break
    with db.reading() as session:
        assert seen == [job.id for job in jobs.listing(session, limit=1000)]
    assert page["total"] == len(set(seen)) == len(seen)


def test_one_refusal_of_a_bulk_action_stops_none_of_the_others(here: Caller) -> None:
    asked = {"action": "reprioritise", "ids": ["waiting-1", "dropped", "none"], "priority": 9}
    done, ended, unknown = here.post("jobs/bulk", json=asked).json()
    assert done["job"]["priority"] == 9
    assert (ended["job"], ended["error"]["code"]) == (None, "not-queued")
    assert unknown["error"]["code"] == "unknown-job"


def test_logs_are_read_to_their_end_and_numbers_by_step(here: Caller) -> None:
    first = here.get("jobs/native/logs", params={"limit": 50}).json()
    rest = here.get("jobs/native/logs", params={"after": first["last"], "limit": 50}).json()
    assert (len(first["lines"]), first["complete"]) == (50, False)
    assert (len(rest["lines"]), rest["complete"]) == (10, True)
    points = here.get("jobs/native/metrics", params={"after": 57}).json()
    assert [point["step"] for point in points] == [58, 59, 60]


def test_wrong_rows_of_an_upload_are_named_and_right_ones_can_be_read(here: Caller) -> None:
    wrong = here.put("datasets/rows", content=b'{"instruction": "a", "output": "b"}\n{"x": 1}\n')
    assert wrong.status_code == 422, "a body without its media type is no file"
    headers = {"Content-Type": "application/octet-stream"}
    wrong = here.put(
        "datasets/rows", headers=headers,
        content=b'{"instruction": "a", "output": "b"}\n{"instruction": 1}\n',
    )  # fmt: skip
    assert wrong.json()["code"] == "bad-rows"
    assert [number for number, _ in wrong.json()["params"]["each"]] == [2]
    table = b"instruction,output\nsay a,b\n"
    params = {"filename": "rows.csv"}
    assert here.put("datasets/rows", headers=headers, params=params, content=table).json()["rows"]
    shown = here.get("datasets/rows/preview").json()["rows"]
    assert "say a" in json.dumps(shown)


def _zip(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def test_an_adapter_comes_as_a_zip_and_a_pickle_or_a_climbing_name_is_refused(
    here: Caller, tmp_path: Path
) -> None:
    zipped = here.get("adapters/native/download").content
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        assert "native/adapter_model.safetensors" in archive.namelist()
    put = {
        "headers": {"Content-Type": "application/octet-stream"},
        "params": {"base": "tiny-llama"},
    }
    pickled = here.put("adapters/other", content=_zip(**{"x__adapter_model.bin": b"x"}), **put)
    assert "pickle" in pickled.json()["detail"]
    names = {"..__..__adapter_config.json": b"{}", "..__..__adapter_model.safetensors": b"x"}
    assert here.put("adapters/other", content=_zip(**names), **put).status_code == 422
    assert list(tmp_path.parent.parent.glob("adapter_*")) == []
    assert here.put("adapters/other", content=b"no zip", **put).status_code == 422


def test_a_full_disk_is_not_the_senders_mistake(
    here: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    zipped = here.get("adapters/native/download").content
    monkeypatch.setattr(archives, "_copy", no_room)
    headers = {"Content-Type": "application/octet-stream"}
    answer = here.put(
        "adapters/other", content=zipped, headers=headers, params={"base": filled.HOST_BASE}
    )
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"question": "\\ud800"}', 422),
        (b'{"question": "a\\u0000"}', 422),
        (b'{"question": "a", "k": NaN}', 422),
        (b'{"question": "' + b"a" * (5 << 20) + b'"}', 413),
        (b"[" * 100_000, 422),
        (b'{"question": "a", "k": 1' + b"0" * 400 + b"}", 422),
    ],
    ids=["half a pair", "NUL", "no number", "too large", "too deep", "too many digits"],
)
def test_a_body_that_no_database_could_keep_is_refused(
    here: Caller, body: bytes, status: int
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = here.post("knowledge/notes/ask", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_whole_number_beyond_every_column_is_refused(here: Caller) -> None:
    spec = json.dumps({"spec": TRAIN["spec"] | {"time_limit": 10**400}})
    headers = {"Content-Type": "application/json"}
    assert here.post("plan", content=spec, headers=headers).json()["code"] == "bad-json"


def test_a_comparison_is_read_and_exported(here: Caller) -> None:
    table = here.get("comparisons/first-look", params={"baseline": "native"}).json()
    assert table["baseline"] == "native"
    assert here.get("comparisons/first-look/export").content.startswith(b"\xef\xbb\xbf")
    markdown = here.get(
        "comparisons/first-look/export", params={"form": "md"}, headers={"Accept-Language": "zh"}
    )
    assert "基线" in markdown.text


def test_there_is_no_page_that_loads_scripts_from_afar(here: Caller) -> None:
    assert here.get("http://localhost:8501/api/docs").status_code == 404
    assert here.get("http://localhost:8501/api/openapi.json").json()["info"]["title"] == "Graft"
