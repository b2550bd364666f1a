"""What is written down of a training: what a checkpoint belongs to, and how an adapter was made."""

from collections.abc import Sequence
from typing import Any

from shared.formats import AlpacaRow, Row, content_hash
from shared.specs import Learning, TrainingSpec
from shared.specs.base import LoraParameters, OptimiserParameters
from shared.specs.tuning import ObjectiveParameters, TuningParameters
from shared.templates import fingerprint
from worker.training.examples import Encoded
from worker.training.place import Place
from worker.training.resuming import Standing

#: Parameters that may differ when a job goes on: they change memory or speed, not the result.
_FREE = {"micro_batch_size", "compiled", "recompute", "spread"}


def identity_of(
    rows: Sequence[Row | AlpacaRow],
    parameters: TrainingSpec | Learning,
    template: str,
    place: Place,
) -> dict[str, Any]:
    """What a checkpoint of this training must have been written under."""
    groups = (ObjectiveParameters, TuningParameters, LoraParameters, OptimiserParameters)
    names = {name for group in groups for name in group.model_fields} | {"max_length", "held_out"}
    return {
        "dataset": content_hash(rows),
        "template": f"{template} {fingerprint(template)}",
        "base model": place.base.fingerprint,
        **parameters.model_dump(mode="json", include=names - _FREE),
        **place.identity,
    }


def facts_of(
    data: Encoded,
    parameters: TrainingSpec | Learning,
    template: str,
    place: Place,
    standing: Standing,
) -> dict[str, Any]:
    """What is remembered of the adapter's making, in its folder and in the database."""
    seconds = max(standing.seconds, 1e-9)
    facts = {
        "base": place.base.name,
        "base_fingerprint": place.base.fingerprint,
        "dataset": place.dataset,
        "template": template,
        "template_fingerprint": fingerprint(template),
        "alpha": parameters.alpha,
        "steps": standing.step,
        "final_loss": sum(standing.losses) / len(standing.losses),
        "rows": len(data.examples),
        "rows_cut": data.cut,
        "rows_dropped": data.dropped,
        "trained_tokens": standing.labels,
        "tokens": standing.tokens,
        "seconds": round(standing.seconds, 3),
        "tokens_per_s": round(standing.tokens / seconds, 1),
        "trained_tokens_per_s": round(standing.labels / seconds, 1),
    }
    if isinstance(parameters, TrainingSpec):
        facts["tuning"] = parameters.tuning
    if standing.best_loss is not None:
        facts |= {"held_out_loss": standing.best_loss, "best_step": standing.best_step}
    return facts
