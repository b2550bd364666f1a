"""Crew: the processes that train one adapter, one a card, each on its part of a step's rows.

Every one of them holds the whole base and the whole adapter. Gradients and losses are summed over
all, so that norm, optimiser and what follows are the same numbers everywhere.
"""

import os
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from shared.errors import Internal
from worker.reporting import Report
from worker.training.batches import Lesson, seed_of

#: Numbers summed in one go (256 MiB): enough to be quick, little beside a base.
_BUCKET = 1 << 26
#: How long one waits for another that computes, loads or writes; a dead one is noticed at once.
_PATIENCE = timedelta(hours=2)


class Lost(Exception):
    """Another process of the crew is gone; it knows why."""


class Crew:
    """One process alone: all that is summed over the crew stays as it is."""

    size = 1
    number = 0
    #: Whether all must make as many passes through the base, because its layers lie on all cards.
    in_step = False

    @property
    def leads(self) -> bool:
        """Whether this process reports, saves and publishes; the others only compute."""
        return self.number == 0

    def share(self, lessons: Sequence[Lesson]) -> Sequence[Lesson]:
        """This process's part of the rows of a step."""
        return lessons

    def seed(self, seed: int) -> int:
        """This process's own seed for what it draws, of one that all know."""
        return seed

    def sums(self, values: Mapping[str, float]) -> dict[str, float]:
        """Each number summed over the crew."""
        return dict(values)

    def idle_passes(self, passes: int) -> int:
        """How many more passes than these another process makes, where all must make as many."""
        return 0

    def wait(self) -> None:
        """Come back when all are here."""

    def add_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        """Give every weight the sum of its gradients over the crew."""

    def begin_alike(self, tensors: Iterable[Tensor]) -> None:
        """Give all the leader's numbers."""

    def require_alike(self, weights: Sequence[Tensor]) -> None:
        """Raise Internal where the crew does not hold the same numbers at the end."""

    def asked_to_stop(self, report: Report) -> bool:
        """Whether the leader's report asks to stop; the same answer for all."""
        return report.stop_requested()


class Together(Crew):
    """One of several processes of a machine; all must call the same methods in the same order."""

    def __init__(self, number: int, size: int, device: str, folder: Path) -> None:
        """Meets the others in `folder`. On GPUs it takes the `number`th one that it sees.

        Raises Lost, in any method, when another one is gone.
        """
        self.number, self.size = number, size
        on_gpu = device.startswith("cuda")
        self.device = f"cuda:{number}" if on_gpu else device
        if on_gpu:
            torch.cuda.set_device(number)
        else:
            torch.set_num_threads(max(1, torch.get_num_threads() // size))
        _talk_within_the_machine()
        with _with_the_others():
            # What is said lies in the CPU's memory, gradients where they are computed.
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
                store=dist.FileStore(str(folder / "meeting"), size),
                rank=number,
                world_size=size,
                timeout=_PATIENCE,
            )

    def share(self, lessons: Sequence[Lesson]) -> Sequence[Lesson]:
        return divided(lessons, self.size)[self.number]

    def seed(self, seed: int) -> int:
        # Equal masks over unlike rows would be no independent draws.
        return seed_of(seed, self.number) if self.number else seed

    def sums(self, values: Mapping[str, float]) -> dict[str, float]:
        # A process without a row in a step does not know what the objective sums.
        said: list[dict[str, float]] = [{}] * self.size
        with _with_the_others():
            dist.all_gather_object(said, dict(values))
        found: Counter[str] = Counter()
        for each in said:
            found.update(each)  # pyright: ignore[reportArgumentType]  # sums of floats
        return dict(found)

    def idle_passes(self, passes: int) -> int:
        if not self.in_step:
            return 0
        most = torch.tensor([passes])
        with _with_the_others():
            dist.all_reduce(most, dist.ReduceOp.MAX)
        return int(most) - passes

    def wait(self) -> None:
        with _with_the_others():
            dist.all_reduce(torch.zeros(1))

    def add_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        # Said on the CPU first: whoever failed in this step is missed here, and not by a kernel
        # on a GPU, which nothing would ever wake.
        given = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.uint8)
        with _with_the_others():
            dist.all_reduce(given, dist.ReduceOp.MAX)
        learning = [weight for weight, one in zip(weights, given, strict=True) if one]
        for bucket in _buckets(learning):
            slopes = [torch.zeros_like(w) if w.grad is None else w.grad for w in bucket]
            flat = torch.cat([slope.flatten() for slope in slopes])
            with _with_the_others():
                dist.all_reduce(flat)
            parts = flat.split([weight.numel() for weight in bucket])
            for weight, part in zip(bucket, parts, strict=True):
                weight.grad = part.view_as(weight)

    def begin_alike(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            with _with_the_others():
                dist.broadcast(tensor.detach(), 0)

    def require_alike(self, weights: Sequence[Tensor]) -> None:
        own = torch.tensor([float(weight.detach().double().sum()) for weight in weights])
        least, most = own.clone(), own
        with _with_the_others():
            dist.all_reduce(least, dist.ReduceOp.MIN)
            dist.all_reduce(most, dist.ReduceOp.MAX)
        if not torch.equal(least, most):
            raise Internal(detail="the processes of this training ended with unlike weights")

    def asked_to_stop(self, report: Report) -> bool:
        asked = torch.tensor([self.leads and report.stop_requested()], dtype=torch.uint8)
        with _with_the_others():
            dist.broadcast(asked, 0)
        return bool(asked)


def divided(lessons: Sequence[Lesson], parts: int) -> list[list[Lesson]]:
    """Lessons in so many parts of about as many tokens: the longest first, to the least loaded."""
    loads = [0] * parts
    chosen: list[list[int]] = [[] for _ in range(parts)]
    sizes = [sum(len(example.ids) for example in lesson) for lesson in lessons]
    for number in sorted(range(len(lessons)), key=lambda number: (-sizes[number], number)):
        least = loads.index(min(loads))
        loads[least] += sizes[number]
        chosen[least].append(number)
    return [[lessons[number] for number in sorted(part)] for part in chosen]


def _buckets(weights: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Weights in groups of up to _BUCKET numbers, or one that is larger."""
    bucket: list[nn.Parameter] = []
    size = 0
    for weight in weights:
        if bucket and size + weight.numel() > _BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(weight)
        size += weight.numel()
    if bucket:
        yield bucket


@contextmanager
def _with_the_others() -> Iterator[None]:
    try:
        yield
    except RuntimeError as wrong:
        raise Lost(str(wrong).splitlines()[0]) from wrong


def _talk_within_the_machine() -> None:
    """A machine's name may lead nowhere, and nobody outside is to be heard."""
    loops = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    for backend in ("GLOO", "NCCL"):
        if loops:
            os.environ.setdefault(f"{backend}_SOCKET_IFNAME", loops[0])
