"""Runs jobs on a GPU machine: claims them, drives the engines, publishes what they made."""
