"""Texts as vectors of the resident base itself: the mean of its last hidden states.

So the samples of a knowledge base are found in every language that the base reads, without another
model. The vectors of a frozen revision are kept beside it, for the next evaluation on that base.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel

from shared.errors import NotFinite
from shared.orders import WorkOrder
from shared.retrieval.vectors import Floats
from shared.specs import BASE_ARM
from worker.evaluation.arms import Arms
from worker.evaluation.augment import Library
from worker.evaluation.batching import batches
from worker.evaluation.reading import Reader
from worker.recurrence import keeps_state

#: Raised whenever the same text would give another vector.
ENCODER = 1
#: Tokens of a text that count; what a question asks stands at its beginning or at its end.
LONGEST = 256


@torch.inference_mode()
def embedded(model: Any, reader: Reader, texts: Sequence[str], batch_tokens: int) -> Floats:
    """A row of fp32 for each text, shape (texts, hidden size); a text without tokens gives zeros.

    Of a text longer than LONGEST tokens, its first and last halves of that. Raises NotFinite.
    """
    ids = [_short(reader.ids(text)) for text in texts]
    width = model.config.get_text_config().hidden_size
    found = np.zeros((len(texts), width), dtype=np.float32)
    read = [place for place, tokens in enumerate(ids) if tokens]
    for chosen in batches([len(ids[place]) for place in read], most_tokens=batch_tokens):
        places = [read[at] for at in chosen]
        longest = max(len(ids[place]) for place in places)
        tokens = torch.zeros(len(places), longest, dtype=torch.long)
        seen = torch.zeros(len(places), longest, dtype=torch.long)
        for row, place in enumerate(places):
            tokens[row, : len(ids[place])] = torch.tensor(ids[place])
            seen[row, : len(ids[place])] = 1
        tokens, seen = tokens.to(model.device), seen.to(model.device)
        # Rows are padded at the end, where no text looks; a recurrent base takes no mask.
        mask = {} if keeps_state(model) else {"attention_mask": seen}
        made = model.base_model(input_ids=tokens, **mask)
        states = made.last_hidden_state.float() * seen[..., None]
        means = states.sum(1) / seen.sum(1, keepdim=True)
        found[places] = means.cpu().numpy()
    if not np.isfinite(found).all():
        raise NotFinite(what="A hidden state", where="the knowledge base's vectors")
    return found


def _short(ids: list[int]) -> list[int]:
    half = LONGEST // 2
    return ids if len(ids) <= LONGEST else ids[:half] + ids[-half:]


def search_by_states(
    library: Library, order: WorkOrder, arms: Arms, reader: Reader, batch_tokens: int
) -> None:
    """Let the order's base, without any adapter, say which samples of its knowledge are alike."""
    if order.knowledge is None or order.base is None:
        raise TypeError("searching by vectors needs a base and a knowledge base")
    revision, name = order.knowledge.path, order.base.fingerprint

    def encode(texts: Sequence[str]) -> Floats:
        with arms.switched_to(BASE_ARM) as (model, _):
            plain = model.get_base_model() if isinstance(model, PeftModel) else model
            return embedded(plain, reader, texts, batch_tokens)

    library.search_by(encode, lambda make: kept(revision, name, str(arms.model.dtype), make))


def kept(revision: Path, base: str, dtype: str, make: Callable[[], Floats]) -> Floats:
    """The vectors of a frozen revision by a base: those kept beside it, else made and kept.

    A folder that cannot be written costs only the time to make them again.
    """
    place = revision.with_name(
        f"{revision.stem}.{base[:16]}-{dtype.removeprefix('torch.')}-{ENCODER}.npy"
    )
    try:
        return np.load(place, allow_pickle=False)
    except (OSError, ValueError):
        rows = make()
    try:
        with tempfile.NamedTemporaryFile(dir=place.parent, suffix=".npy", delete=False) as file:
            np.save(file, rows)
        os.replace(file.name, place)
    except OSError:
        return rows
    return rows
