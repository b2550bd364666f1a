"""A safetensors file written one tensor at a time, so that memory holds one tensor, not all."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

#: Room for one entry of the table besides its name: dtype, two sides, two offsets, punctuation.
_ENTRY = 160


class TensorFile:
    """Writes fp32 tensors as they come; the table at the front is filled in at the end.

    The format allows spaces after the table, so room for it is set aside first. The file appears
    under its name only when complete and synced.
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        """`names`: every tensor that may be added; fewer may come."""
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        room = 64 + sum(len(json.dumps(name)) + _ENTRY for name in names)
        self._room = room + -room % 8
        self._table: dict[str, object] = {"__metadata__": {"format": "pt"}}
        self._end = 0

    def __enter__(self) -> Self:
        self._file = self._partial.open("wb")
        self._file.seek(8 + self._room)
        return self

    def add(self, name: str, tensor: Tensor) -> None:
        """Append a tensor in fp32."""
        data = tensor.detach().to(device="cpu", dtype=torch.float32).contiguous().numpy()
        start, self._end = self._end, self._end + data.nbytes
        self._table[name] = {
            "dtype": "F32",
            "shape": list(data.shape),
            "data_offsets": [start, self._end],
        }
        self._file.write(data.astype("<f4", copy=False).data)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        wrong: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file as file:
            if kind is None:
                table = json.dumps(self._table, separators=(",", ":")).encode()
                file.seek(0)
                file.write(self._room.to_bytes(8, "little") + table.ljust(self._room))
                file.flush()
                os.fsync(file.fileno())
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)
