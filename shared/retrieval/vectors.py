"""Exact search of vectors: which samples point where a question points."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
#: Questions multiplied at once: the samples' vectors are read from memory once for all of them.
AT_ONCE = 32


class Vectors:
    """Vectors of length 1, a row a sample, by place."""

    def __init__(self, rows: Floats) -> None:
        """`rows`, of shape (samples, width), need not be of length 1."""
        self._rows = unit(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def search(self, questions: Floats, most: int) -> Iterator[list[tuple[int, float]]]:
        """For each question, of shape (questions, width): (place, cosine), the nearest first.

        Nothing is approximated; of equal samples the older goes first.
        """
        most = min(most, len(self._rows))
        for start in range(0, len(questions), AT_ONCE):
            likeness = unit(questions[start : start + AT_ONCE]) @ self._rows.T
            for row in likeness:
                # All that are as near as the last of the chosen, so that ties go by age.
                edge = np.partition(row, len(row) - most)[len(row) - most] if most else 0.0
                near = np.flatnonzero(row >= edge) if most else np.zeros(0, dtype=np.int64)
                order = near[np.argsort(-row[near], kind="stable")][:most]
                yield [(int(place), float(row[place])) for place in order]


def unit(rows: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays one, and is near nothing."""
    rows = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    return (rows / lengths).astype(np.float32, copy=False)
