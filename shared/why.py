"""Why a queued job has not started and when it will, answered by the scheduler itself."""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from shared import pool_state
from shared.errors import Language
from shared.scheduling.forecast import Why, explain
from shared.tables import Job, JobDependency, JobState

#: Ready jobs of each owner that the answer takes into account.
WINDOW = 500

_SENTENCES: dict[str, tuple[str, str]] = {
    "not_queued": ("It is {state}, not waiting.", "该任务处于 {state} 状态，并未在等待。"),
    "needs": ("It waits for {names} to succeed.", "等待 {names} 成功。"),
    "later": ("It is tried again in {seconds} s.", "{seconds} 秒后重试。"),
    "starting": ("It starts at the next look at the queue.", "下一次查看队列时即开始。"),
    "no_host": (
        "No host takes jobs: start a worker (`graft worker`), or end a drain (`graft undrain`).",
        "没有接受任务的主机：请启动 worker（`graft worker`），或结束排空（`graft undrain`）。",
    ),
    "no_label": (
        "No host has all of the labels {labels}: give one of them to a host, or submit without.",
        "没有主机同时具有标签 {labels}：请为某台主机加上，或去掉标签重新提交。",
    ),
    "too_many": (
        "No host could ever hold it: it asks for {asked}; the most that one host has is {most}.",
        "没有主机容得下它：需要 {asked}；单台主机最多 {most} 张。",
    ),
    "too_large": (
        "No host could ever hold it: it asks for {asked}; the largest card has {largest} MiB. "
        "A training of lora or a prefix may ask for several (`--gpus`).",
        "没有主机容得下它：需要 {asked}；最大的卡为 {largest} MiB。"
        "lora 或 prefix 训练可请求多张（`--gpus`）。",
    ),
    "limit_running": (
        "{user} may run {allowed} jobs at once (`graft limits`), and {held} run.",
        "{user} 同时最多运行 {allowed} 个任务（`graft limits`），现有 {held} 个在运行。",
    ),
    "limit_gpus": (
        "{user} may hold {allowed} cards at once (`graft limits`) and holds {held}; "
        "it asks for {asked}.",
        "{user} 同时最多占用 {allowed} 张卡（`graft limits`），现占 {held} 张；需要 {asked}。",
    ),
    "limit_gpu_hours": (
        "{user} has used the GPU-hours of the last 30 days.",
        "{user} 近 30 天的 GPU 小时已用完。",
    ),
    "behind": (
        "{ahead} jobs go first; it asks for {asked}, {free} cards are empty.",
        "前面还有 {ahead} 个任务；需要 {asked}，空闲卡 {free} 张。",
    ),
    "room": (
        "It is first, and waits for room: it asks for {asked}, {free} cards are empty.",
        "已排在第一位，等待空位：需要 {asked}，空闲卡 {free} 张。",
    ),
}


@dataclass(frozen=True)
class Answer:
    """Why a job waits."""

    reason: str
    facts: dict[str, Any]
    #: From 1; None when it is not in the queue.
    place: int | None = None
    #: Seconds until it starts, as far as anybody can know.
    starts_in: float | None = None

    def text(self, language: Language) -> str:
        """The sentence for a reader."""
        facts = self.facts | {"asked": self._asked(language)}
        return _SENTENCES[self.reason][language == "zh"].format_map(facts)

    def _asked(self, language: Language) -> str:
        zh = language == "zh"
        gpus, vram = self.facts.get("gpus", 1), self.facts.get("vram", 0)
        if vram:
            asked = f"{gpus} × {vram} MiB"
        else:
            asked = f"{gpus} 张整卡" if zh else f"{gpus} whole card{'s' * (gpus != 1)}"
        if labels := self.facts.get("labels"):
            asked += f"（标签 {labels}）" if zh else f" (labels {labels})"
        return asked


def why(session: Session, job: Job) -> Answer:
    """Why this job has not started, and when it will."""
    if job.state != JobState.QUEUED:
        return Answer("not_queued", {"state": job.state})
    if names := _unmet(session, job.id):
        return Answer("needs", {"names": ", ".join(names)})
    now = pool_state.clock(session)
    if job.not_before > now:
        return Answer("later", {"seconds": round(job.not_before - now)}, starts_in=None)
    pool = pool_state.load(session, now, window=WINDOW)
    if job.id not in pool.waiting:
        pool.submit(pool_state.as_waiting(job), now)
    return reason_of(explain(pool, job.id, now))


def reason_of(found: Why) -> Answer:
    """The scheduler's answer, with the words for a reader."""
    reason: str = found.reason
    if reason == "limit":
        reason = f"limit_{found.facts['limit']}"
    place = found.facts.get("ahead", 0) + 1
    return Answer(reason, found.facts, place, found.starts_in)


def place(session: Session, job: Job) -> int | None:
    """A queued job's place in the queue, from 1; None when it is not ready to start."""
    return why(session, job).place


def _unmet(session: Session, job_id: str) -> list[str]:
    query = (
        select(Job.name)
        .join(JobDependency, col(JobDependency.needs_id) == Job.id)
        .where(JobDependency.job_id == job_id, Job.state != JobState.SUCCEEDED)
    )
    return list(session.exec(query).all())
