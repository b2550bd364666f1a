"""Judging: a base model says which of two answers is better."""

from worker.judging.judge import judge

__all__ = ["judge"]
