"""Registering base models: what their files say, and a fingerprint that tells them apart."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from shared import events
from shared.clock import db_now
from shared.config import settings
from shared.errors import BadBase, Both, NameTaken, UnknownBase, both
from shared.families import family_of, size
from shared.names import check_name
from shared.people.actors import Actor
from shared.people.permissions import Action, authorise
from shared.tables import ModelRef

#: A safetensors header is JSON of a few hundred bytes a tensor; more than this is no header.
_MAX_HEADER = 100 << 20
_SAMPLE = 1 << 16
_SAMPLES = 64
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "ice_text.model")


def register(session: Session, name: str, location: str, *, actor: Actor) -> ModelRef:
    """Add a base model under a name; the same files under the same name change nothing.

    Raises Forbidden, BadBase when the folder cannot be used, NameTaken when the name means other
    files.
    """
    authorise(actor, Action.REGISTER_MODEL)
    check_name(name)
    facts = _hub_facts(location) if _is_hub_id(location) else inspect(Path(location))
    known = session.get(ModelRef, name)
    if known is not None:
        if known.fingerprint == facts["fingerprint"]:
            known.location = facts["location"]
            return known
        raise NameTaken(thing=both("base model", "底座模型"), name=name)
    model = ModelRef(name=name, **facts)
    session.add(model)
    session.flush()
    model.created_at = session.scalar(select(db_now())) or 0.0
    events.record(session, "model-added", actor=actor.user, name=name, location=facts["location"])
    return model


def find(session: Session, name: str) -> ModelRef:
    """The base model of that name. Raises UnknownBase, listing the known ones."""
    model = session.get(ModelRef, name)
    if model is None:
        names = session.exec(select(ModelRef.name).order_by(ModelRef.name)).all()
        raise UnknownBase(name=name, known=", ".join(names) or "-")
    return model


def inspect(folder: Path) -> dict[str, Any]:
    """The facts of a model folder, read without loading it. Raises BadBase naming what is wrong."""
    folder = folder.expanduser().absolute()
    config = _config(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if problem := _unconverted(folder, config, bool(weights)):
        raise BadBase(location=str(folder), problem=problem)
    if not any((folder / name).exists() for name in _TOKENIZERS):
        raise BadBase(
            location=str(folder),
            problem=both("it holds no tokenizer.json", "其中没有 tokenizer.json"),
        )
    architecture = (config.get("architectures") or ["unknown"])[0]
    family = family_of(architecture)
    try:
        hidden = size(config, "hidden_size")
        sides = [min(shape) for shape in family.shapes(config).values()] if family else [hidden]
    except KeyError as missing:
        problem = both(f"config.json has no {missing}", f"config.json 缺少 {missing}")
        raise BadBase(location=str(folder), problem=problem) from None
    headers = [_header(folder, path) for path in weights]
    return {
        "location": str(folder),
        "fingerprint": _fingerprint(config, weights, headers),
        "family": family.name if family else "other",
        "architecture": architecture,
        "hidden_size": hidden,
        "layers": _layers(config),
        "vocabulary": int(config.get("vocab_size", 0)),
        "parameters": sum(_elements(header) for header in headers),
        "narrowest": min(sides),
    }


def _unconverted(folder: Path, config: dict[str, Any], weights: bool) -> Both | None:
    """What must be converted before the folder can be used, and how; None where nothing must."""
    how = f"`graft models convert {folder} OUT`"
    if not weights:
        if not any(folder.glob("*.bin")):
            return both("it holds no .safetensors file", "其中没有 .safetensors 文件")
        return both(
            f"its weights are pickles, which run code when read; convert it with {how}",
            f"其权重为 pickle，读取时会执行代码；请用 {how} 转换",
        )
    if config.get("model_type") == "chatglm" and "inner_hidden_size" not in config:
        return both(
            f"it is ChatGLM2 or ChatGLM3 in its own form; convert it with {how}",
            f"这是原始格式的 ChatGLM2 或 ChatGLM3；请用 {how} 转换",
        )
    return None


def _layers(config: dict[str, Any]) -> int:
    try:
        return size(config, "num_hidden_layers")
    except KeyError:
        return 0


def _is_hub_id(location: str) -> bool:
    return (
        settings().allow_hub
        and location.count("/") == 1
        and not location.startswith((".", "/", "~"))
        and not Path(location).exists()
    )


def _hub_facts(location: str) -> dict[str, Any]:
    """A hub model's files are not here yet; the worker that downloads it learns the rest."""
    return {"location": location, "fingerprint": f"hub:{location}", "family": "other"}


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        problem = (
            both("it holds no config.json", "其中没有 config.json")
            if folder.is_dir()
            else both("there is no such folder", "没有这个目录")
        )
        raise BadBase(location=str(folder), problem=problem)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as wrong:
        raise BadBase(location=str(folder), problem=f"config.json: {wrong}") from None
    if not isinstance(config, dict):
        raise BadBase(
            location=str(folder),
            problem=both("config.json holds no object", "config.json 的内容不是对象"),
        )
    return config


def _header(folder: Path, path: Path) -> dict[str, Any]:
    """A safetensors file's own table of tensors (8 bytes of length, then JSON)."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= min(_MAX_HEADER, path.stat().st_size):
            problem = both(
                f"{path.name} is no safetensors file (a git-lfs pointer, or cut short?)",
                f"{path.name} 不是 safetensors 文件（是 git-lfs 指针，还是不完整？）",
            )
            raise BadBase(location=str(folder), problem=problem)
        return json.loads(file.read(length))


def _elements(header: dict[str, Any]) -> int:
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            count = 1
            for side in tensor["shape"]:
                count *= side
            total += count
    return total


def _fingerprint(config: dict[str, Any], weights: list[Path], headers: list[Any]) -> str:
    """Digest of the architecture, the tensor tables and 64 samples of each weight file.

    Reading every byte of a 7B model takes a minute; two different trainings already differ in
    every sample.
    """
    shape = {key: config.get(key) for key in sorted(config) if "size" in key or "num_" in key}
    digest = hashlib.sha256(json.dumps([shape, headers], sort_keys=True).encode())
    for path in weights:
        size = path.stat().st_size
        with path.open("rb") as file:
            for sample in range(_SAMPLES):
                file.seek(max(0, (size - _SAMPLE) * sample // max(1, _SAMPLES - 1)))
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
