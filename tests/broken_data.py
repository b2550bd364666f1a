"""Broken training files of every kind people upload, each with what its message must name."""

import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

GOOD = json.dumps({"instruction": "Name a colour.", "input": "", "output": "Red."})
_MIB = 1 << 20


def _lines(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def _zip() -> bytes:
    """Forty mebibytes of zeros in a few kilobytes, as a bomb would hold more of."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.jsonl", b"0" * 40 * _MIB)
    return packed.getvalue()


def _blank_lines() -> bytes:
    """A gzip bomb of empty lines, which no row is too long in."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        for _ in range(20):
            file.write(b"\n" * _MIB)
    return packed.getvalue()


def _endless(path: Path) -> None:
    """A file of 1 GiB in one line; what lies beyond its beginning takes no disk."""
    with path.open("wb") as file:
        file.write(b'{"instruction": "' + b"a" * 17 * _MIB)
        file.truncate(1 << 30)


def _folder(path: Path) -> None:
    path.mkdir()


def _content(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


_DEEP = '{"instruction": ' + "[" * 100_000 + "]" * 100_000 + ', "output": "x"}'
_NESTED_NULLS = json.dumps({"messages": [{"role": "user", "content": None}, None]})
_SHAREGPT = json.dumps({"conversations": [{"from": "human", "value": "Hi"}]})

#: Name -> (file name, how it is written, error, words of its English and its Chinese message).
BROKEN: dict[str, tuple[str, Callable[[Path], None], str, list[str], list[str]]] = {
    "bad JSON in a line": (
        "rows.jsonl", _content(_lines(GOOD, GOOD, '{"instruction": "a" "output": 1}')),
        "not-json", ["line 3", "one object a line"], ["第 3 行", "每行一个对象"],
    ),
    "bad JSON in an array": (
        "rows.json", _content(_lines("[", GOOD + ",", "{oops}", "]")),
        "not-json", ["line 3", "one JSON array"], ["第 3 行", "对象数组"],
    ),
    "an array that ends early": (
        "rows.json", _content(_lines("[", GOOD + ",")),
        "not-json", ["line 2"], ["第 2 行"],
    ),
    "missing fields": (
        "rows.jsonl", _content(_lines(GOOD, '{"instruction": "a"}', '{"output": "b"}')),
        "bad-rows", ["2 of 3 rows", "2 (no output), 3 (no instruction)", "Mend or remove"],
        ["3 行中有 2 行", "2 (缺少 output)", "请修正或删除"],
    ),
    "empty outputs": (
        "rows.jsonl", _content(_lines(GOOD, '{"instruction": "a", "output": " "}')),
        "bad-rows", ["row 2: output is empty"], ["第 2 行：output 为空"],
    ),
    "a line of 1 GiB": (
        "rows.jsonl", _endless,
        "row-too-long", ["line 1", "16 MiB", "split"], ["第 1 行", "拆成多行"],
    ),
    "another encoding": (
        "rows.jsonl", _content(_lines(GOOD) + "\n{'指令'}".encode("gb18030")),
        "not-text", ["line 2", "GB18030", "Save it as UTF-8"], ["第 2 行", "另存为 UTF-8"],
    ),
    "UTF-16": (
        "rows.jsonl", _content(GOOD.encode("utf-16")),
        "not-text", ["line 1", "UTF-16"], ["第 1 行", "UTF-16"],
    ),
    "nested nulls": (
        "rows.jsonl", _content(_lines(_NESTED_NULLS)),
        "bad-rows", ["row 1: turn 1: content is null"], ["第 1 行：turn 1: content 为 null"],
    ),
    "a zip bomb": (
        "rows.zip", _content(_zip()),
        "is-archive", ["zip archive", "Unpack it"], ["zip 压缩包", "自行解包"],
    ),
    "a gzip bomb": (
        "rows.jsonl.gz", _content(_blank_lines()),
        "too-dense", ["200 times", "Unpack it yourself"], ["200 倍", "自行解压"],
    ),
    "a pickle": (
        "rows.json", _content(pickle.dumps([GOOD])),
        "is-pickle", ["pickle", "JSON lines"], ["pickle", "JSON Lines"],
    ),
    "a gzip file cut short": (
        "rows.jsonl.gz", _content(gzip.compress(_lines(*[GOOD] * 500))[:-40]),
        "bad-gzip", ["line", "gzip -t"], ["gzip -t"],
    ),
    "a table without a header": (
        "rows.csv", _content(_lines("Name a colour.,Red.", "Name a town.,Rome.")),
        "no-header", ["line 1", "Name a colour.", "Add that line"], ["第 1 行", "请补上这一行"],
    ),
    "a table with an open quote": (
        "rows.csv", _content(_lines("instruction,output", 'a,"b', "c,d")),
        "bad-table", ["line 2", "never closed"], ["第 2 行", "未闭合"],
    ),
    "a table with too few fields": (
        "rows.csv", _content(_lines("instruction,output", "a,b", "c")),
        "bad-rows", ["row 3: 1 fields where the header names 2"], ["第 3 行：有 1 个字段"],
    ),
    "Parquet that is none": (
        "rows.parquet", _content(_lines(GOOD)),
        "bad-parquet", ["Parquet", "Write it again"], ["Parquet", "重新写出"],
    ),
    "Parquet cut short": (
        "rows.parquet", _content(b"PAR1" + b"\x15\x04" * 40 + b"PAR1"),
        "bad-parquet", ["Parquet"], ["Parquet"],
    ),
    "mixed shapes": (
        "rows.jsonl", _content(_lines(GOOD, _SHAREGPT)),
        "bad-rows", ["row 2: a row of format sharegpt in a file of alpaca"], ["sharegpt"],
    ),
    "a key twice": (
        "rows.jsonl", _content(_lines(GOOD, '{"instruction": "a", "output": "b", "output": "c"}')),
        "not-json", ["line 2", '"output" occurs twice'], ["第 2 行", "出现两次"],
    ),
    "NUL bytes": (
        "rows.jsonl", _content(_lines(GOOD, '{"instruction": "a\0"')),
        "has-nul", ["line 2", "Copy it again"], ["第 2 行", "重新复制"],
    ),
    "deep nesting": (
        "rows.jsonl", _content(_lines(GOOD, _DEEP)),
        "not-json", ["line 2", "nested too deeply"], ["第 2 行", "嵌套过深"],
    ),
    "an empty file": ("rows.jsonl", _content(b""), "empty-data", ["no rows"], ["没有任何数据行"]),
    "a folder": ("rows", _folder, "is-folder", ["a folder", "Give one file"], ["目录"]),
    "numbers for texts": (
        "rows.jsonl", _content(_lines(GOOD, '{"instruction": "1 + 1", "output": 2}')),
        "bad-rows", ["row 2: output is not text but a number"], ["output 不是文本，而是数字"],
    ),
    "unknown keys": (
        "rows.jsonl", _content(_lines('{"frage": "a", "antwort": "b"}')),
        "unknown-format", ["line 1", "frage, antwort", "Rename the keys"], ["第 1 行", "改名"],
    ),
    "a conversation without an answer": (
        "rows.jsonl", _content(_lines(_SHAREGPT)),
        "bad-rows", ["row 1: no answer in it"], ["没有回答"],
    ),
    "half a surrogate pair": (
        "rows.jsonl", _content(_lines('{"instruction": "\\ud83d", "output": "b"}')),
        "bad-rows", ["row 1: instruction holds half a surrogate pair"], ["半个代理对"],
    ),
}  # fmt: skip
