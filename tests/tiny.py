"""Fixtures: the tiny bases, made once a session; torch is imported only where one is asked for."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random LLaMA base (see `tiny_bases.make_llama`); never write into it."""
    from tiny_bases import make_llama

    return make_llama(tmp_path_factory.mktemp("bases") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny_glm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random GLM base of other shape and tokenizer; never write into it."""
    from tiny_bases import make_glm

    return make_glm(tmp_path_factory.mktemp("bases") / "tiny-glm")
