"""The learning rate as a function of the step."""

import math

from shared.specs.base import OptimiserParameters


def learning_rate(step: int, steps: int, parameters: OptimiserParameters) -> float:
    """Rate of step `step` (from 0) of `steps`: linear warm-up to the peak, then the schedule.

    The warm-up's first step already learns, and cosine (SGDR, arXiv 1608.03983) and linear reach 0
    only after the last one, so that no step is wasted.
    """
    warm = math.ceil(parameters.warmup_ratio * steps)
    if step < warm:
        return parameters.learning_rate * (step + 1) / warm
    if parameters.schedule == "constant":
        return parameters.learning_rate
    done = (step - warm) / max(1, steps - warm)
    if parameters.schedule == "linear":
        return parameters.learning_rate * (1 - done)
    return parameters.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
