"""lm-eval as the peer of the evaluation benchmarks: its HFLM engine on ready-made requests.

Install it beside Graft (it must not enter Graft's own environment):
`python -m venv peers && peers/bin/pip install -r benchmarks/peers.txt`, or with `--no-deps` and a
.pth file that points at Graft's site-packages. Then run the benchmark with that Python.
"""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from worker.evaluation.trees import Tree

#: lm-eval's own import and progress bars; nothing of it is asked from the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
AVAILABLE = find_spec("lm_eval") is not None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without lm-eval's prints and progress bars."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


class Peer:
    """A resident model as lm-eval sees it; softmax in fp32 by default, batch size given or auto."""

    def __init__(
        self, model: Any, tokenizer: Any, batch_size: int | str, softmax: str = "float32"
    ) -> None:
        from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]

        with quiet():
            self._lm: Any = HFLM(
                pretrained=model, tokenizer=tokenizer, batch_size=batch_size,
                max_batch_size=64, softmax_dtype=softmax, max_length=2048,
            )  # fmt: skip
        self._lm._model = model

    def use(self, model: Any) -> None:
        """Score this model from now on: the resident base with another adapter switched on."""
        self._lm._model = model

    def score(self, trees: Sequence[Tree]) -> list[list[float]]:
        """Log-likelihoods of all endings, from the very tokens we score."""
        requests = [
            (("", ""), list(tree.context), list(ending))
            for tree in trees
            for ending in tree.endings
        ]
        with quiet():
            answers = iter(self._lm._loglikelihood_tokens(requests, disable_tqdm=True))
        return [[next(answers)[0] for _ in tree.endings] for tree in trees]

    def ids(self, text: str) -> list[int]:
        """The tokens lm-eval would generate from."""
        return list(self._lm.tok_encode(text))

    def generate(self, texts: Sequence[str], until: Sequence[str], longest: int) -> list[str]:
        """Greedy answers."""
        from lm_eval.api.instance import Instance  # pyright: ignore[reportMissingImports]

        how = {"until": list(until), "max_gen_toks": longest, "do_sample": False}
        requests = [
            Instance(request_type="generate_until", doc={}, arguments=(text, how), idx=number)
            for number, text in enumerate(texts)
        ]
        with quiet():
            return self._lm.generate_until(requests, disable_tqdm=True)
