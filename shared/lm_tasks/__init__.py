"""Tasks of lm-eval (EleutherAI's LM Evaluation Harness) as benchmark files of ours.

lm-eval itself reads the task and lays out its prompts, few-shot examples and choices, so that every
request is its own; what it scores otherwise than Graft can is refused by name.
"""

from shared.lm_tasks.loading import load
from shared.lm_tasks.mapping import Taken, taken

__all__ = ["Taken", "load", "taken"]
