"""`graft submit`: flags and files become queued jobs; what can be known to be wrong is refused."""

import json
import threading
from pathlib import Path

import pytest
from sqlmodel import select

from commands import Graft
from pools import claim_next
from shared import db, jobs, leases
from shared.claims import Claim
from shared.cli import follow
from shared.clock import db_now
from shared.errors import NotFinite
from shared.tables import Host, JobState, Outcome

TRAIN = ("submit", "train", "--name", "reds", "--base-model", "tiny", "--dataset", "colours")


def test_submit_prints_the_id_of_the_job_it_queued(stocked: Graft) -> None:
    result = stocked(*TRAIN, "--rank", "4", "--epochs", "0.5", "--target-modules", "q_proj,v_proj")
    assert result.exit_code == 0
    with db.reading() as session:
        job = jobs.find(session, result.stdout.strip())
    assert (job.name, job.user, job.state) == ("reds", "ann", "queued")
    assert job.spec["rank"] == 4
    assert job.spec["epochs"] == 0.5
    assert job.spec["target_modules"] == ["q_proj", "v_proj"]
    assert "No worker is running" in result.stderr


def test_a_playground_session_is_submitted_like_any_job(stocked: Graft) -> None:
    asked = ("--name", "talk", "--base-model", "tiny", "--idle-timeout", "60")
    result = stocked("submit", "chat", *asked)
    assert result.exit_code == 0
    with db.reading() as session:
        job = jobs.find(session, result.stdout.strip())
    assert (job.kind, job.spec["idle_timeout"], job.limit_seconds) == ("chat", 60, 3600)


def test_a_fusion_waits_for_the_queued_trainings_it_names(stocked: Graft) -> None:
    first = json.loads(stocked(*TRAIN, "--json").stdout)["id"]
    second = stocked(
        "submit", "train", "--name", "blues", "--base-model", "tiny", "--dataset", "colours"
    ).stdout.strip()
    fused = stocked(
        "submit", "fuse", "--name", "mix", "--adapters", "reds", "--adapters", "blues",
        "--method", "weighted_sum", "--weights", "0.5,1.5", "--json",
    )  # fmt: skip
    job = json.loads(fused.stdout)
    wanted = {"method": "weighted_sum", "weights": [0.5, 1.5], "rank": 0}
    assert wanted.items() <= job["spec"]["params"].items()
    with db.reading() as session:
        assert {each.id for each in jobs.needs(session, job["id"])} == {first, second}


def test_a_spec_file_is_submitted_and_flags_override_it(stocked: Graft, tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    spec = {"kind": "train", "name": "reds", "base_model": "tiny", "dataset": "colours", "rank": 2}
    file.write_text(json.dumps(spec))
    first = json.loads(stocked("submit", "-f", str(file), "--json").stdout)
    assert (first["kind"], first["spec"]["rank"]) == ("train", 2)
    again = stocked("submit", "train", "-f", str(file), "--name", "other", "--rank", "3", "--json")
    assert json.loads(again.stdout)["spec"]["rank"] == 3


def test_a_recipe_is_where_a_training_begins_and_flags_override_it(stocked: Graft) -> None:
    result = stocked(*TRAIN, "--recipe", "belle-lora", "--rank", "2", "--json")
    spec = json.loads(result.stdout)["spec"]
    assert (spec["template"], spec["max_length"], spec["seed"]) == ("belle", 1024, 1234)
    assert spec["rank"] == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"kind": "train",\n "name" }', "spec.json, line 2: not valid JSON"),
        ("[1]", "spec.json, line 1: not valid JSON (not an object)"),
        ('{"kind": "bake", "name": "a"}', "kind: "),
        ('{"kind": "train", "name": "a", "base_model": "tiny", "dataset": "d", "rnk": 1}', "rnk: "),
    ],
)
def test_a_wrong_spec_file_is_refused_naming_the_place(
    stocked: Graft, tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "spec.json"
    file.write_text(text)
    result = stocked("submit", "-f", str(file))
    assert result.exit_code in (2, 4)
    assert sentence in result.stderr
    assert json.loads(stocked("jobs", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--base-model", "tinny"), 4, 'no base model named "tinny". Known: tiny.'),
        (("--base-model", "tinny"), 4, "Did you mean tiny?"),
        (("--dataset", "colour"), 4, "Did you mean colours?"),
        (("--rank", "64"), 4, "Choose a rank of at most 32."),
    ],
)
def test_what_can_be_known_to_be_wrong_is_refused_at_once(
    stocked: Graft, words: tuple[str, ...], code: int, sentence: str
) -> None:
    result = stocked(*TRAIN, *words)
    assert result.exit_code == code
    assert sentence in result.stderr
    assert json.loads(stocked("jobs", "--json").stdout) == []


def test_the_same_key_never_makes_a_second_job(stocked: Graft) -> None:
    first = stocked(*TRAIN, "--key", "nightly-1")
    second = stocked(*TRAIN, "--key", "nightly-1")
    assert second.exit_code == 0
    assert second.stdout == first.stdout


def test_an_adapter_of_an_unknown_name_is_refused(stocked: Graft) -> None:
    stocked(*TRAIN)
    result = stocked(
        "submit", "evaluate", "--name", "c", "--base-model", "tiny", "--adapters", "reeds",
        "--benchmarks", "none", "--json",
    )  # fmt: skip
    assert result.exit_code == 4
    assert json.loads(result.stderr)["error"]["params"]["name"] == "none"


def _work(outcome: Outcome) -> None:
    """What a worker would do, without one: claim the job and end it."""
    claim: Claim | None = None
    while claim is None:
        with db.writing() as session:
            claim = claim_next(session)
    error = NotFinite(what="The loss", where="step 3").record()
    with db.writing() as session:
        leases.commit(session, claim, outcome, error=error if outcome == "failed" else None)


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.SUCCEEDED, 0), (Outcome.FAILED, 1)])
def test_wait_ends_with_the_result_of_the_job(
    stocked: Graft, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int
) -> None:
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.01)
    worker = threading.Thread(target=_work, args=(outcome,))
    worker.start()
    result = stocked(*TRAIN, "--wait", "--json")
    worker.join()
    assert result.exit_code == code
    assert json.loads(result.stdout)["state"] == outcome
    assert ("The loss became NaN" in result.stderr) == (outcome == Outcome.FAILED)


def test_an_interrupted_wait_leaves_the_job_in_the_queue(
    stocked: Graft, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow.time, "sleep", interrupt)
    result = stocked(*TRAIN, "--wait")
    assert result.exit_code == 130
    assert "The job goes on" in result.stderr
    (job,) = json.loads(stocked("jobs", "--json").stdout)
    assert job["state"] == JobState.QUEUED


def test_a_custom_template_needs_a_text_that_can_be_used(stocked: Graft) -> None:
    for more, said in (
        ((), "custom needs a template_text"),
        (("--template-text", "{{ messages|pprint }}"), "No filter named 'pprint'"),
    ):
        result = stocked(*TRAIN, "--template", "custom", *more)
        assert result.exit_code == 2
        assert said in result.stderr


def test_a_job_like_another_begins_with_its_spec_and_flags_override_it(stocked: Graft) -> None:
    stocked(*TRAIN, "--rank", "4", "--epochs", "0.5")
    again = stocked("submit", "train", "--like", "reds", "--name", "other", "--rank", "3", "--json")
    spec = json.loads(again.stdout)["spec"]
    assert (spec["name"], spec["rank"], spec["epochs"]) == ("other", 3, 0.5)
    other_kind = stocked("submit", "fuse", "--like", "reds", "--name", "x")
    assert other_kind.exit_code != 0
    assert "reds is a train job" in other_kind.stderr


def test_a_file_of_lines_queues_all_of_its_specs_or_none(stocked: Graft, tmp_path: Path) -> None:
    file = tmp_path / "specs.jsonl"
    spec = {"kind": "train", "base_model": "tiny", "dataset": "colours"}
    lines = [json.dumps(spec | {"name": f"n{number}"}) for number in range(3)]
    file.write_text("\n".join([lines[0], "", *lines[1:], "{"]))
    refused = stocked("submit", "-f", str(file))
    assert "specs.jsonl, line 5" in refused.stderr
    file.write_text("\n".join(lines))
    made = stocked("submit", "-f", str(file), "--priority", "7", "--key", "k").stdout.split()
    with db.reading() as session:
        queued = [jobs.find(session, job) for job in made]
    assert [(job.name, job.priority) for job in queued] == [("n0", 7), ("n1", 7), ("n2", 7)]
    assert stocked("submit", "-f", str(file), "--key", "k").stdout.split() == made


def test_a_plan_says_memory_cards_and_place_and_queues_nothing(stocked: Graft) -> None:
    words = TRAIN
    with db.writing() as session:
        session.add(
            Host(
                name="gpu-1", device="cuda", slots=2, cards=[24000, 500],
                heartbeat_at=session.scalar(select(db_now())) or 0.0,
            )
        )  # fmt: skip
    (plan,) = json.loads(stocked(*words, "--plan", "--json").stdout)
    assert plan["vram_mb"] > 900
    assert [(card["host"], card["card"], card["free"]) for card in plan["cards"]] == [
        ("gpu-1", 0, True)
    ]
    assert (plan["place"], plan["starts_in"], plan["seconds"]) == (1, 0.0, None)
    assert json.loads(stocked("jobs", "--json").stdout) == []
    assert "gpu-1 (1 of 1 free)" in stocked(*words, "--plan").stdout


def test_a_plan_is_refused_where_the_submission_would_be(stocked: Graft) -> None:
    words = ("submit", "train", "--name", "first", "--base-model", "none", "--dataset", "colours")
    assert stocked(*words, "--plan").exit_code == 4


def test_the_plan_of_a_grid_has_a_line_a_job(stocked: Graft) -> None:
    words = ("submit", "train", "--name", "g", "--base-model", "tiny", "--dataset", "colours")
    plans = json.loads(stocked(*words, "--sweep", "rank=4,8", "--plan", "--json").stdout)
    assert [plan["name"] for plan in plans] == ["g-1", "g-2"]
