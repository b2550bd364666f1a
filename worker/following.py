"""Passing on what a runner says and prints to its attempt's journal, and its checkpoints to the
store."""

import json
import shutil
from pathlib import Path
from typing import Any, Self

from shared.claims import Claim
from shared.errors import StoreAway, both
from shared.storage import store
from worker.journal import Journal
from worker.talk import Talk
from worker.traces import Tail, Trace, is_final

#: Checkpoints of an attempt kept on its host; the older one is for a crash under the newer.
KEPT = 2


class Follower:
    """Reads the files of one attempt's trace as they grow; a context manager."""

    def __init__(
        self, claim: Claim, journal: Journal, trace: Trace, talk: Talk | None = None
    ) -> None:
        self.claim = claim
        self.journal = journal
        self.talk = talk
        #: The runner's last word, once it was said.
        self.final: dict[str, Any] | None = None
        self._tails = [Tail(trace.events, self._event), Tail(trace.output, self._output)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for tail in self._tails:
            tail.close()

    def read(self) -> None:
        """Take what is new."""
        for tail in self._tails:
            tail.read()

    def _event(self, line: bytes, end: int) -> None:
        event = json.loads(line)
        if is_final(event):
            # Not counted as taken: whoever comes after this worker needs to hear it too.
            self.final = event
        elif event["type"] == "said":
            # Nor is this: the latest words replace the earlier ones, however often they are heard.
            if self.talk is not None:
                self.talk.event(event)
        elif self.journal.knows("events", end):
            self.journal.remember(event)
        else:
            if event["type"] == "checkpoint":
                self._keep(event["step"], Path(event["folder"]))
            else:
                self.journal.event(event)
            self.journal.took("events", end)

    def _keep(self, step: int, folder: Path) -> None:
        """A checkpoint that cannot be stored now is only one fewer to go on from."""
        key = f"jobs/{self.claim.job_id}/a{self.claim.epoch}/checkpoints/{folder.name}"
        try:
            self.journal.checkpoint(step, store().publish(folder, key))
            _leave(folder, KEPT)
        except (StoreAway, FileNotFoundError) as wrong:
            self.journal.log(
                "warning",
                both(
                    f"the checkpoint of step {step} was not stored: {wrong}",
                    f"第 {step} 步的检查点未能存入制品库：{wrong}",
                ),
            )

    def _output(self, line: bytes, end: int) -> None:
        """What libraries print; kept, since it is often the only hint to what went wrong."""
        text = line.decode(errors="replace").rstrip()
        if not self.journal.knows("output", end):
            if text:
                self.journal.log("output", text)
            self.journal.took("output", end)


def _leave(newest: Path, most: int) -> None:
    """Remove all checkpoints of this kind but the newest; none that is later than this one."""
    kind, _, done = newest.name.rpartition("-")
    found = {path.name.rpartition("-")[2]: path for path in newest.parent.glob(f"{kind}-*")}
    taken = [number for number in found if number.isdigit() and int(number) <= int(done)]
    for number in sorted(taken, key=int)[:-most]:
        shutil.rmtree(found[number], ignore_errors=True)
