"""Adapters made elsewhere: looked through before they enter the pool, and refused by name."""

import shutil
from pathlib import Path

from sqlmodel import Session, select

from shared import base_models, events
from shared.adapter_files import CONFIG, WEIGHTS, check, config_of, weights_of
from shared.clock import db_now
from shared.columns import short_id
from shared.errors import NameTaken, both
from shared.names import check_name
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.prefix_files import check_prefix
from shared.specs import BASE_ARM
from shared.storage import seal, size_of, store
from shared.tables import Adapter


def add(
    session: Session, name: str, folder: Path, base: str, template: str, *, actor: Actor
) -> Adapter:
    """Check a PEFT folder against a registered base and make it an adapter of the pool.

    Raises Forbidden, UnknownBase, NameTaken, and what `check` or `check_prefix` raises.
    """
    authorise(actor, Action.PUBLISH_ADAPTER)
    check_name(name)
    model = base_models.find(session, base)
    if session.get(Adapter, name) is not None or name == BASE_ARM:
        raise NameTaken(thing=both("adapter", "适配器"), name=name)
    folder = folder.expanduser().absolute()
    where = Path(model.location)
    if config_of(name, folder).get("peft_type") == "PREFIX_TUNING":
        facts = check_prefix(name, folder, model.name, where)
    else:
        facts = check(name, folder, model.name, weights_of(model.name, where))
    key = f"adapters/{short_id()}"
    target = store().attempts.parent / key
    target.mkdir(parents=True)
    for file in (WEIGHTS, CONFIG):
        shutil.copyfile(folder / file, target / file)
    digest = seal(target)
    adapter = Adapter(
        name=name, method="import", base_model=model.name, base_fingerprint=model.fingerprint,
        uri=store().publish(target, key), sha256=digest, rank=facts["rank"],
        bytes=size_of(target), facts=facts | {"template": template}, user=actor.user,
        created_at=session.scalar(select(db_now())) or 0.0,
    )  # fmt: skip
    session.add(adapter)
    session.flush()
    events.record(session, "adapter-added", actor=actor.user, name=name, base=base)
    return adapter
