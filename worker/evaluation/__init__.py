"""Evaluation: arms on benchmarks, scored item by item over one resident base."""

from worker.evaluation.evaluator import ENGINE, SHAPES, evaluate

__all__ = ["ENGINE", "SHAPES", "evaluate"]
