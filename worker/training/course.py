"""Course: everything a training needs to know beside the model it trains."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.specs.base import OptimiserParameters
from worker.training.batches import Lesson
from worker.training.crew import Crew
from worker.training.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class Course:
    """What the loop needs beside the learner."""

    #: One a row: the example, or the chosen and the rejected one.
    lessons: Sequence[Lesson]
    objective: Objective
    parameters: OptimiserParameters
    #: Id that fills rows up; never seen by a loss.
    padding: int
    #: Most rows in memory at once.
    micro_batch: int
    checkpoint_every: int
    checkpoints: Path
    resume_from: Path | None
    #: What must be the same for a checkpoint to be continued.
    identity: dict[str, Any]
    #: B's learning rate over A's (LoRA+, Hayou et al. 2024, arXiv 2402.12354).
    lora_plus: float = 1.0
    #: Rows that are never trained, only looked at.
    held_out: Sequence[Lesson] = ()
    #: Steps between looks at them.
    look_every: int = 0
    #: Looks without a better loss after which training ends; 0 goes on to the end.
    patience: int = 0
    #: The processes that share each step's rows.
    crew: Crew = field(default_factory=Crew)

    @property
    def even(self) -> bool:
        """Whether all rows are of one length."""
        return len({len(each.ids) for lesson in self.lessons for each in lesson}) == 1
