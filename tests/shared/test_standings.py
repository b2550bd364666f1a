"""Who uses the pool, and whose turn it is."""

import filled
from shared import db, hosts
from shared.hosts import Busy
from shared.standings import standings
from shared.tables import Attempt, Host, Job, JobState, Share


def test_who_used_less_goes_first_and_everybodys_jobs_are_counted(database: str) -> None:
    with db.writing() as session:
        now = session.scalar(filled.select(filled.db_now())) or 0.0
        for user, used in (("ann", 36_000.0), ("bo", 3600.0)):
            session.add(Share(project="default", user=user, used=used, used_at=now))
        for name, user in (("a", "ann"), ("b", "bo"), ("c", "bo")):
            job = filled.add_job(session, filled.train_spec(name), now, JobState.QUEUED)
            job.user = user
        done = filled.add_job(session, filled.train_spec("d"), now, JobState.SUCCEEDED)
        done.user = "bo"
    with db.reading() as session:
        bo, ann = standings(session)
    assert [(each.place, each.user, each.queued) for each in (bo, ann)] == [
        (1, "bo", 2),
        (2, "ann", 1),
    ]
    assert round(bo.gpu_hours * 3600) == 60
    assert ann.gpu_hours == 0
    assert round(ann.counted, 1) == 10.0
    assert round(bo.counted, 1) == 1.0


def test_memory_of_a_card_is_free_less_what_its_jobs_asked_for() -> None:
    host = Host(name="h", incarnation="1", device="cuda", slots=3, cards=[24_000, 24_000, 16_000])
    job, whole = (
        Job(kind="train", name="a", spec={}, vram_mb=9000),
        Job(kind="train", name="b", spec={}, vram_mb=0),
    )
    attempt = Attempt(job_id="a", epoch=1, host="h", device="cuda", cards=[0])
    other = Attempt(job_id="b", epoch=1, host="h", device="cuda", cards=[2])
    on_it = [Busy(job, attempt), Busy(job, attempt), Busy(whole, other)]
    assert hosts.unreserved(host, on_it) == [6000, 24_000, 0]
