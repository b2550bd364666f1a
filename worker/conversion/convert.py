"""Converting a checkpoint's folder; what comes out needs no remote code and holds no pickle."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from shared.errors import BadBase, both
from worker.architectures import ChatGLMConfig, tokenizer_of
from worker.conversion import chatglm2
from worker.conversion.shards import Writer, read_weights, weight_files

#: What of a folder is neither weights nor configuration.
_BESIDE = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt",
    "spiece.model", "generation_config.json", "chat_template*",
)  # fmt: skip
_LICENCES = ("*LICENSE*", "NOTICE*")


def convert(folder: Path, out: Path, say: Callable[[str], None] = lambda line: None) -> None:
    """Write the base in `folder` to `out`, which appears when it is whole.

    ChatGLM-6B keeps its weights' names; ChatGLM2 and 3 become Glm; any other architecture that
    transformers knows keeps all but the form of its files. One file of weights is in memory at a
    time. Raises BadBase, naming what cannot be read or is missing.
    """
    if out.exists():
        problem = both("it exists; name a new folder", "它已存在；请指定新目录")
        raise BadBase(location=str(out), problem=problem)
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        _write(folder, part, say)
    except (ValueError, KeyError, OSError) as wrong:
        shutil.rmtree(part, ignore_errors=True)
        reason = f"no {wrong} in config.json" if isinstance(wrong, KeyError) else str(wrong)
        raise BadBase(location=str(folder), problem=reason) from wrong
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    part.rename(out)


def _write(folder: Path, part: Path, say: Callable[[str], None]) -> None:
    described = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    later = described.get("model_type") == "chatglm" and "inner_hidden_size" not in described
    config: Any = chatglm2.glm_config(described) if later else _own_config(folder)
    say(f"{folder}: {type(config).__name__}")
    _write_tokenizer(folder, part, config, later)
    files = weight_files(folder)
    writer = Writer(part, len(files))
    for number, path in enumerate(files, start=1):
        say(f"{number}/{len(files)} {path.name}")
        weights: dict[str, Tensor] = {}
        for name, value in read_weights(path).items():
            if later:
                weights |= chatglm2.renamed(name, value, config)
            elif not name.endswith("rotary_emb.inv_freq"):
                weights[name] = value
        writer.write(number, weights)
    writer.close()
    if later or isinstance(config, ChatGLMConfig):
        _require_all(folder, config, writer.names)
    _write_config(part, config)


def _own_config(folder: Path) -> PretrainedConfig:
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if isinstance(config, ChatGLMConfig):
        config.architectures = ["ChatGLMForConditionalGeneration"]
    return config


def _write_config(part: Path, config: PretrainedConfig) -> None:
    """config.json without the names of code that came with the checkpoint."""
    # ChatGLM's sizes are all written: whoever reads config.json alone knows no defaults.
    whole = isinstance(config, ChatGLMConfig)
    described = json.loads(config.to_json_string(use_diff=not whole))
    for key in ("auto_map", "_name_or_path"):
        described.pop(key, None)
    text = json.dumps(described, indent=2, sort_keys=True)
    (part / "config.json").write_text(text + "\n", encoding="utf-8")


def _write_tokenizer(folder: Path, part: Path, config: Any, later: bool) -> None:
    for pattern in _LICENCES:
        for path in folder.glob(pattern):
            shutil.copy(path, part)
    if later:
        chatglm2.read_tokenizer(folder / chatglm2.VOCABULARY_NAME).save_pretrained(part)
    elif isinstance(config, ChatGLMConfig):
        tokenizer_of(str(folder)).save_pretrained(part)
    else:
        for pattern in _BESIDE:
            for path in folder.glob(pattern):
                shutil.copy(path, part)


def _require_all(folder: Path, config: PretrainedConfig, found: set[str]) -> None:
    """Raise BadBase where a weight of the model is in none of the files, or one is too many."""
    with torch.device("meta"):
        wanted = set(AutoModelForCausalLM.from_config(config).state_dict())
    for names, en, zh in (
        (wanted - found, "it lacks", "缺少"), (found - wanted, "it has too much:", "多出"),
    ):  # fmt: skip
        if names:
            some = f"{sorted(names)[0]} (+{len(names) - 1})"
            problem = both(f"{en} {some}", f"{zh} {some}")
            raise BadBase(location=str(folder), problem=problem)
