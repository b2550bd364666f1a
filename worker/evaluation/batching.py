"""Batches of rows of like length, as large as memory allows."""

from collections.abc import Iterator, Sequence

#: Logits held at once: 2^28 numbers are 1 GiB in fp32.
MOST_LOGITS = 1 << 28


def batches(
    lengths: Sequence[int],
    *,
    most_tokens: int,
    scored: Sequence[int] | None = None,
    vocabulary: int = 1,
) -> Iterator[list[int]]:
    """Places of rows to run together, longest first, so that the first batch needs most memory.

    A batch's padded size (rows times longest) stays within `most_tokens`, and its `scored`
    positions times `vocabulary` within MOST_LOGITS; a row that is too large alone goes alone.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    batch: list[int] = []
    logits = 0
    for place in order:
        more = (scored[place] if scored is not None else 1) * vocabulary
        # The first row of a batch is its longest.
        padded = (len(batch) + 1) * lengths[batch[0]] if batch else 0
        if batch and (padded > most_tokens or logits + more > MOST_LOGITS):
            yield batch
            batch, logits = [], 0
        batch.append(place)
        logits += more
    if batch:
        yield batch
