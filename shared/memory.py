"""How much memory a job will need on a card, from its spec and its base; rounded up, with slack.

An estimate to pack jobs by, not a promise: a training that runs out is tried once more with half
the micro-batch.
"""

from shared.specs import AnySpec, ChatSpec, EvaluationSpec, FusionSpec
from shared.specs.base import LoraParameters
from shared.specs.fusion.learned import FromExamples
from shared.tables import ModelRef

#: CUDA's context, kernels and workspaces, MiB.
CONTEXT = 900
#: Allocator fragmentation and what the formulas leave out.
SLACK = 1.2
#: Bytes kept for the backward pass, per token, layer and hidden unit of a LoRA-adapted block
#: (half precision, memory-efficient attention).
ACTIVATIONS = 36
#: Bytes a parameter of a base in 8 and in 4 bits, scales included.
_WIDTHS = {"8": 1.05, "4": 0.6}
#: Tokens of a conversation before the answer, of each arm of a chat.
CONVERSATION = 2048


def predict(spec: AnySpec, base: ModelRef | None) -> int:
    """MiB on one card; 0, whole cards, where the base's size is not known.

    Weights at 2 or 4 bytes a parameter; for a training also 16 bytes for each LoRA parameter
    (weight, gradient, two moments in fp32), the activations of one micro-batch and one chunk of
    logits; for an evaluation the keys and values of one batch, for a chat those
    of one conversation an arm.
    """
    if isinstance(spec, FusionSpec) and not spec.host_base:
        # Only a method that looks at examples loads the donors' base, whose size is not known here.
        return 0 if isinstance(spec.params, FromExamples) else _rounded(0)
    if base is None or not base.parameters:
        return 0
    params = spec.params if isinstance(spec, FusionSpec) else spec
    width = 4 if getattr(params, "precision", "auto") == "fp32" else 2
    weights = base.parameters * _WIDTHS.get(getattr(params, "base_bits", "full"), width)
    if isinstance(spec, EvaluationSpec):
        cache = 2 * spec.batch_tokens * base.layers * base.hidden_size * width
        return _rounded(weights + cache)
    if isinstance(spec, ChatSpec):
        tokens = len(spec.arms()) * (CONVERSATION + spec.max_new_tokens)
        return _rounded(weights + 2 * tokens * base.layers * base.hidden_size * width)
    if isinstance(spec, FusionSpec):
        weights *= 2  # the donor's base answers, the host base learns
    if not isinstance(params, LoraParameters):
        return _rounded(weights)
    return _rounded(weights + _training(params, base))


def _training(params: LoraParameters, base: ModelRef) -> int:
    rows = getattr(params, "micro_batch_size", 0) or getattr(params, "batch_size", 1)
    tokens = rows * getattr(params, "max_length", 512)
    # Seven adapted matrices a layer, the MLP's three about four times as wide as the hidden size.
    adapted = base.layers * params.rank * base.hidden_size * (8 + 3 * 5)
    activations = tokens * base.layers * base.hidden_size * ACTIVATIONS
    whole = {"none": 0, "both": 2}.get(getattr(params, "also_train", "none"), 1)
    adapted += whole * base.vocabulary * base.hidden_size
    # A head that learns needs all its logits, and their gradients, at once.
    at_once = min(tokens, 4096) if whole == 0 else tokens
    logits = at_once * base.vocabulary * (6 if whole == 0 else 12)
    return 16 * adapted + activations + logits


def _rounded(size: float) -> int:
    return int(CONTEXT + SLACK * size / 2**20 + 1)
