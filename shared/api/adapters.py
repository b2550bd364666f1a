"""Adapters: found, looked at, fetched, and brought in from elsewhere."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shared import adapter_library, db, imports, results
from shared.api.archives import unpack
from shared.api.asked import CardText
from shared.api.desk import Desk
from shared.api.things import AdapterAnswer
from shared.api.told import told_adapter
from shared.storage import store


class Adapters(Desk):
    """The adapters of the pool. Methods that name one raise UnknownAdapter."""

    def list(
        self, *, base: str = "", text: str = "", tags: Sequence[str] = ()
    ) -> Sequence[AdapterAnswer]:
        """Published adapters that hold the text and have all of the tags, newest first."""
        with db.reading() as session:
            found = adapter_library.entries(session, text=text, tags=tags)
        wanted = [each for each in found if base in ("", each.adapter.base_model)]
        return [told_adapter(self, each.adapter, each.card) for each in wanted]

    def get(self, name: str) -> AdapterAnswer:
        """An adapter with its lineage."""
        with db.reading() as session:
            found = results.adapter(session, name)
            edges = results.lineage(session, name)
            return told_adapter(self, found, adapter_library.card(session, name), edges)

    def describe(self, name: str, asked: CardText) -> AdapterAnswer:
        """Write its note and tags, or make it the version to use. Raises Forbidden."""
        with db.writing() as session:
            card = adapter_library.card(session, results.adapter(session, name).name)
            if asked.note is not None or asked.tags is not None:
                note = card.note if asked.note is None else asked.note
                tags = card.tags if asked.tags is None else asked.tags
                adapter_library.describe(session, name, note=note, tags=tags, actor=self.actor)
            if asked.promoted is not None:
                change = adapter_library.promote if asked.promoted else adapter_library.demote
                change(session, name, actor=self.actor)
        return self.get(name)

    def folder(self, name: str) -> Path:
        """Where its files lie on this machine, fetched first where the store is remote."""
        with db.reading() as session:
            found = results.adapter(session, name)
        return store().open_path(found.uri)

    def download(self, name: str, folder: Path) -> None:
        """Copy its folder in PEFT's format; the copy appears whole or not at all."""
        draft = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(self.folder(name), draft)
        draft.replace(folder)

    def upload(
        self, name: str, archive: Path, *, base: str, template: str = "auto"
    ) -> AdapterAnswer:
        """Register the adapter in a zip file: safetensors only, every number of it looked at.

        Raises UnsupportedAdapter, UnknownBase, NameTaken, NoOp, Forbidden.
        """
        with tempfile.TemporaryDirectory() as folder:
            unpack(archive, name, Path(folder))
            return self.add(name, Path(folder), base=base, template=template)

    def add(self, name: str, folder: Path, *, base: str, template: str = "auto") -> AdapterAnswer:
        """Register a folder in PEFT's format. Raises as `upload`."""
        with db.writing() as session:
            made = imports.add(session, name, folder, base, template, actor=self.actor)
            return told_adapter(self, made, adapter_library.card(session, name))
