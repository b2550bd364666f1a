"""Each owner's standing: what it used, decayed, and who therefore goes first.

Every share decays at the same rate, so decay never changes an order: instead of shrinking the
past, what is used now is worth more (weight 2^(t / half-life)), and nothing is ever recomputed.
"""

from dataclasses import dataclass, field

from shared.scheduling.records import Allowance, Owner, Rules, Shape, Waiting


def decayed(used: float, age: float, half_life: float) -> float:
    """`used` GPU-seconds of `age` seconds ago, as they count now."""
    return used * 0.5 ** (age / half_life)


@dataclass(slots=True)
class Holding:
    """What a user has now, in all projects together: limits are a person's."""

    running: int = 0
    gpus: int = 0
    #: GPU-seconds charged against the period's budget.
    spent: float = 0.0


@dataclass(slots=True)
class Account:
    """What one owner has used, and what the owner's user holds, while the scheduler runs."""

    allowance: Allowance
    holding: Holding
    #: In the weight of the scheduler's start.
    used: float = 0.0
    last_start: float = 0.0
    #: Rises with every charge, so that a stale place in a heap is noticed by comparing two ints.
    version: int = 0

    @property
    def share(self) -> float:
        """Use per weight: the smaller goes first."""
        return self.used / self.allowance.weight

    def limit(self, shape: Shape) -> str:
        """Which allowance keeps such a job waiting: running, gpus, gpu_hours; empty when none."""
        allowed = self.allowance
        if allowed.running is not None and self.holding.running + 1 > allowed.running:
            return "running"
        if allowed.gpus is not None and self.holding.gpus + shape.gpus > allowed.gpus:
            return "gpus"
        if allowed.gpu_seconds is not None and self.holding.spent >= allowed.gpu_seconds:
            return "gpu_hours"
        return ""


@dataclass(slots=True)
class Accounts:
    """All owners; `now` moves forward only."""

    rules: Rules
    start: float
    allowances: dict[Owner, Allowance]
    accounts: dict[Owner, Account] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    projects: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for owner in self.allowances:
            self.of(owner)

    def of(self, owner: Owner) -> Account:
        """The owner's account, opened when it is new."""
        account = self.accounts.get(owner)
        if account is None:
            allowance = self.allowances.get(owner) or Allowance()
            holding = self.holdings.setdefault(owner.user, Holding())
            account = Account(
                allowance, holding, used=allowance.used, last_start=allowance.last_start
            )
            self.accounts[owner] = account
            self._add_project(owner.project, allowance.used)
        return account

    def _add_project(self, project: str, used: float) -> None:
        self.projects[project] = self.projects.get(project, 0.0) + used

    def charge(self, owner: Owner, gpu_seconds: float, now: float) -> None:
        """Count use at `now`; negative to correct an earlier charge."""
        account = self.of(owner)
        worth = gpu_seconds * 2.0 ** ((now - self.start) / self.rules.half_life)
        account.used += worth
        account.holding.spent += gpu_seconds
        account.version += 1
        self._add_project(owner.project, worth)

    def project_share(self, project: str) -> float:
        """A project's use per weight."""
        return self.projects.get(project, 0.0) / self.rules.project_weights.get(project, 1.0)

    def level(self, account: Account, job: Waiting, now: float) -> int:
        """Priority, raised by one for each `ageing` that its owner waits unserved."""
        # Without `max`: this is the innermost loop of a large pool.
        since = job.created_at if job.created_at > account.last_start else account.last_start
        return job.priority + (int((now - since) / self.rules.ageing) if now > since else 0)

    def next_level_at(self, account: Account, job: Waiting, now: float) -> float:
        """When `level` rises next."""
        since = max(job.created_at, account.last_start)
        return since + (self.level(account, job, now) - job.priority + 1) * self.rules.ageing
