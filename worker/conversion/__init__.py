"""Checkpoints as published become folders that Graft loads: safetensors, no code of their own."""

from worker.conversion.convert import convert

__all__ = ["convert"]
