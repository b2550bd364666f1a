"""A playground session between its table and its runner: questions in, answers out."""

import logging
import time
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError

from shared import chats, db
from shared.claims import Claim
from worker.mailbox import Question, post

logger = logging.getLogger(__name__)
#: Seconds between two looks for questions, and between two writes of an answer that grows.
_EVERY = 0.25


class Talk:
    """What the supervisor of a chat does besides supervising."""

    def __init__(self, claim: Claim, folder: Path) -> None:
        self._claim, self._folder = claim, folder
        self._passed_on = 0
        #: What was said and is not in the database yet: {number: (answers, every arm is done)}.
        self._said: dict[int, tuple[dict[str, Any], bool]] = {}
        self._next = 0.0

    def event(self, event: dict[str, Any]) -> None:
        """Take what the arms have written of an answer so far."""
        self._said[event["turn"]] = event["answers"], event["answered"]

    def tick(self) -> None:
        """Pass on new questions and write answers down; an absent database is asked again later."""
        if time.monotonic() < self._next:
            return
        try:
            self.flush()
            self._fetch()
        except (OperationalError, DBAPIError) as away:
            logger.warning("job %s: database away: %s", self._claim.job_id, away.orig)
        self._next = time.monotonic() + _EVERY

    def flush(self) -> None:
        """Write down what was said. Raises OperationalError while the database is away."""
        for number, (answers, answered) in list(self._said.items()):
            with db.writing() as session:
                chats.write_answers(session, self._claim, number, answers, answered=answered)
            self._said.pop(number)

    def _fetch(self) -> None:
        with db.reading() as session:
            found = chats.turns(session, self._claim.job_id, after=self._passed_on)
        for turn in found:
            told = turn.answers if turn.answered else {}
            post(self._folder, Question(number=turn.number, text=turn.question, answers=told))
            self._passed_on = turn.number
