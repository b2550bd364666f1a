"""Parquet files as (row, value) pairs, a batch in memory at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.errors import BadParquet, both

_MARK = b"PAR1"
_BATCH = 1000
#: Bytes that one row group may unpack to; it is held whole.
_LARGEST = 4 << 30


def is_one(path: Path, head: bytes, *, named: bool) -> bool:
    """Whether the file is Parquet. Raises BadParquet where it should be and is not."""
    if head.startswith(_MARK):
        return True
    if named and head:
        raise BadParquet(file=path.name, problem=both("its first bytes are others", "文件头不符"))
    return False


def values(path: Path) -> Iterator[tuple[int, Any]]:
    """Rows from 1 with their columns as keys. Raises BadParquet."""
    # Here, because reading JSON must not load it.
    import pyarrow
    from pyarrow import parquet

    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        raise BadParquet(file=path.name, problem=both("packed once more", "又被压缩了一层"))
    try:
        with parquet.ParquetFile(path) as file:
            groups = range(file.metadata.num_row_groups)
            sizes = [file.metadata.row_group(number).total_byte_size for number in groups]
            if max(sizes, default=0) > _LARGEST:
                problem = both("a row group is above 4 GiB", "某个行组超过 4 GiB")
                raise BadParquet(file=path.name, problem=problem)
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH):
                for value in batch.to_pylist():
                    number += 1
                    yield number, value
    except (pyarrow.ArrowException, OSError) as wrong:
        said = str(wrong).splitlines()[0][:160]
        raise BadParquet(file=path.name, problem=said) from None
