"""Adding an adapter made elsewhere: its files are looked through before they enter the pool."""

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, get_args

import streamlit as st

from dashboard import parts, queries
from dashboard.language import Words
from shared import db, imports
from shared.errors import GraftError, UnsupportedAdapter, both
from shared.specs.training import TemplateName

#: The two files of an adapter; whatever else an archive holds stays in it.
FILES = (imports.CONFIG, imports.WEIGHTS)


def unpack(name: str, files: Sequence[IO[bytes]], folder: Path) -> None:
    """Write the two files of an adapter into `folder`, from themselves or from one zip.

    Names in an archive never become paths. Raises UnsupportedAdapter for a damaged archive.
    """
    for file in files:
        given = PurePosixPath(str(getattr(file, "name", ""))).name
        if given.endswith(".zip"):
            try:
                with zipfile.ZipFile(file) as archive:
                    for entry in archive.infolist():
                        inner = PurePosixPath(entry.filename).name
                        if inner in FILES:
                            _copy(archive.open(entry), folder / inner)
            except zipfile.BadZipFile:
                problem = both(f"{given} is no zip archive", f"{given} 不是 zip 压缩包")
                raise UnsupportedAdapter(adapter=name, problem=problem) from None
        elif given.endswith(".json"):
            _copy(file, folder / imports.CONFIG)
        elif given.endswith(".safetensors"):
            _copy(file, folder / imports.WEIGHTS)


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as out:
        while piece := source.read(1 << 20):
            out.write(piece)


def upload(words: Words) -> None:
    """The form; closed until somebody opens it."""
    with db.reading() as session:
        bases = [row.name for row in queries.bases(session)]
    if not bases:
        return
    parts.upload_words(words)
    with st.expander(words("adapters.add"), icon=":material/upload:"):
        st.caption(words("adapters.add.lead"))
        files = st.file_uploader(
            words("adapters.add.files"), type=["safetensors", "json", "zip"],
            accept_multiple_files=True, key="adapters.files",
        )  # fmt: skip
        left, middle, right = st.columns(3)
        name = left.text_input(
            words("adapters.name"), key="adapters.add.name", max_chars=64, placeholder="my-adapter"
        )
        base = middle.selectbox(words("adapters.base"), bases, key="adapters.add.base")
        template = right.selectbox(
            words("compare.template"), list(get_args(TemplateName)), key="adapters.add.template",
            format_func=words.codes("choice.template"),
        )  # fmt: skip
        ready = bool(files and name and base)
        if st.button(words("adapters.add.send"), type="primary", disabled=not ready,
                     icon=":material/add:", key="adapters.add.send"):  # fmt: skip
            add(words, name, files or [], str(base), str(template))


def add(words: Words, name: str, files: Sequence[IO[bytes]], base: str, template: str) -> None:
    """Check the files and make them an adapter, or say what is wrong with them."""
    try:
        with tempfile.TemporaryDirectory() as folder, db.writing() as session:
            unpack(name, files, Path(folder))
            made = imports.add(session, name, Path(folder), base, template, actor=parts.actor())
            rank, modules = made.rank, made.facts["modules"]
    except GraftError as problem:
        parts.failure(problem, words)
        return
    text = words("adapters.added", name=name, rank=rank, modules=modules)
    st.success(parts.plain(text), icon=":material/check:")
