"""Architectures that transformers lacks, written here and known to its Auto classes on import."""

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from worker.architectures.chatglm import ChatGLMConfig, register
from worker.architectures.chatglm.tokenization import VOCABULARY_NAME, read_tokenizer

register()


def tokenizer_of(location: str) -> Any:
    """The tokenizer of a base's folder or hub id; ChatGLM-6B's own file where that is all it has.

    Raises what transformers raises (OSError, ValueError, ...) where there is none.
    """
    original = Path(location) / VOCABULARY_NAME
    if original.is_file() and not original.with_name("tokenizer.json").is_file():
        config = AutoConfig.from_pretrained(location, trust_remote_code=False)
        if isinstance(config, ChatGLMConfig):
            return read_tokenizer(original, config)
    return AutoTokenizer.from_pretrained(location, trust_remote_code=False)
