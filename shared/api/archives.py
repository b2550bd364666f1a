"""Adapters that come as zip files: read without trusting a name in them."""

import errno
import shutil
import zipfile
from pathlib import Path, PurePosixPath

from shared.adapter_files import CONFIG, WEIGHTS
from shared.config import settings
from shared.errors import DiskFull, UnsupportedAdapter, both

#: Bytes an uploaded adapter may unpack to.
MOST_UNPACKED = 16 << 30
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def unpack(source: Path, name: str, folder: Path) -> None:
    """Write an adapter's two files into `folder`, under their own names whatever the zip says.

    Raises UnsupportedAdapter for what is no zip, a pickle in it, a file that is missing or there
    twice, or more than MOST_UNPACKED; DiskFull.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = _members(archive, name)
            for file in (CONFIG, WEIGHTS):
                _copy(archive, members[file], name, folder / file)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as wrong:
        # A damaged zip can make `seek` fail; but a full disk is not the sender's mistake.
        if isinstance(wrong, OSError) and wrong.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(host=settings().host_name, path=str(folder)) from wrong
        problem = both(f"it cannot be unpacked ({wrong})", f"无法解包（{wrong}）")
        raise UnsupportedAdapter(adapter=name, problem=problem) from None


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        path = PurePosixPath(member.filename)
        if path.suffix.lower() in _PICKLES:
            problem = both(
                f"{path.name} is a pickle, which can run code when it is read; save it again as "
                "safetensors",
                f"{path.name} 是 pickle，读取时可能执行代码；请另存为 safetensors",
            )
            raise UnsupportedAdapter(adapter=name, problem=problem)
        if path.name in (CONFIG, WEIGHTS):
            if path.name in found:
                problem = both(f"{path.name} is there twice", f"{path.name} 重复")
                raise UnsupportedAdapter(adapter=name, problem=problem)
            found[path.name] = member
    for file in (CONFIG, WEIGHTS):
        if file not in found:
            raise UnsupportedAdapter(
                adapter=name, problem=both(f"it holds no {file}", f"其中没有 {file}")
            )
    return found


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, target: Path) -> None:
    if member.file_size > MOST_UNPACKED:
        problem = both(f"{target.name} is too large", f"{target.name} 过大")
        raise UnsupportedAdapter(adapter=name, problem=problem)
    # A zip cannot yield more than it declares: the reader stops at file_size.
    with archive.open(member) as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
