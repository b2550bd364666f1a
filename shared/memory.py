"""How much memory a job will need on a card, from its spec and its base; rounded up, with slack.

An estimate to pack jobs by, not a promise: a training that runs out is tried once more with half
the micro-batch.
"""

from typing import Protocol

from shared.specs import AnySpec, ChatSpec, EvaluationSpec, FusionSpec, TrainingSpec
from shared.specs.base import LoraParameters
from shared.specs.fusion.learned import FromExamples

#: CUDA's context, kernels and workspaces, MiB.
CONTEXT = 900
#: Allocator fragmentation and what the formulas leave out.
SLACK = 1.2
#: Bytes kept for the backward pass, per token, layer and hidden unit of a LoRA-adapted block
#: (half precision, memory-efficient attention).
ACTIVATIONS = 36
#: The same of a block whose own weights learn: inputs of every norm and product, by precision.
FULL_ACTIVATIONS = {"bf16": 72, "fp32": 100}
#: Bytes a parameter of a base in 8 and in 4 bits, scales included; two copies in 8-bit floats.
_WIDTHS = {"8": 1.05, "4": 0.6, "fp8": 2.05}
#: Tokens of a conversation before the answer, of each arm of a chat.
CONVERSATION = 2048


class BaseSizes(Protocol):
    """What is known of a base, of whatever class."""

    @property
    def parameters(self) -> int: ...
    @property
    def layers(self) -> int: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...


def predict(spec: AnySpec, base: BaseSizes | None, models: int = 0) -> int:
    """MiB on one card; 0, whole cards, where the base's size is not known.

    Weights at 2 or 4 bytes a parameter; for a training also 16 bytes for each LoRA parameter
    (weight, gradient, two moments in fp32), the activations of one micro-batch and one chunk of
    logits; for an evaluation the keys and values of one batch, for a chat those
    of one conversation an arm. `models`: arms of either that are whole models beside the base.
    """
    if isinstance(spec, FusionSpec) and not spec.host_base:
        # Only a method that looks at examples loads the donors' base, whose size is not known here.
        return 0 if isinstance(spec.params, FromExamples) else _rounded(0)
    if base is None or not base.parameters:
        return 0
    params = spec.params if isinstance(spec, FusionSpec) else spec
    width = 4 if getattr(params, "precision", "auto") == "fp32" else 2
    weights = base.parameters * _WIDTHS.get(getattr(params, "base_bits", "full"), width)
    if isinstance(params, TrainingSpec) and params.tuning == "full":
        return _rounded(training_bytes(params, base))
    weights *= 1 + models
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


def training_bytes(params: TrainingSpec, base: BaseSizes) -> float:
    """Bytes that a full fine-tuning needs beside CUDA's context, without slack.

    20 a parameter: fp32 weights, gradients and two moments, and 4 for the base as it was (DPO's
    reference, 2 where its files are in half precision) and the products' half-precision casts.
    Best weights of rows held out and DPO's reference in use are 4 more each.
    """
    each = 20 + 4 * (params.held_out > 0) + 4 * (params.objective in ("dpo", "auto"))
    tokens = _tokens(params)
    kept = FULL_ACTIVATIONS["fp32" if params.precision == "fp32" else "bf16"]
    activations = _kept(params, base, tokens, kept)
    return each * base.parameters + activations + min(tokens, 4096) * base.vocabulary * 6


def _tokens(params: LoraParameters) -> int:
    """Of one micro-batch, at most."""
    rows = getattr(params, "micro_batch_size", 0) or getattr(params, "batch_size", 1)
    return rows * getattr(params, "max_length", 512)


def _training(params: LoraParameters, base: BaseSizes) -> int:
    tokens = _tokens(params)
    # Seven adapted matrices a layer, the MLP's three about four times as wide as the hidden size.
    adapted = base.layers * params.rank * base.hidden_size * (8 + 3 * 5)
    activations = _kept(params, base, tokens, ACTIVATIONS)
    whole = {"none": 0, "both": 2}.get(getattr(params, "also_train", "none"), 1)
    adapted += whole * base.vocabulary * base.hidden_size
    # A head that learns needs all its logits, and their gradients, at once.
    at_once = min(tokens, 4096) if whole == 0 else tokens
    logits = at_once * base.vocabulary * (6 if whole == 0 else 12)
    return 16 * adapted + activations + logits


def _kept(params: LoraParameters, base: BaseSizes, tokens: int, each: int) -> int:
    """Bytes kept for the backward pass, `each` a layer; where layers run twice, one layer's and
    every layer's input in fp32."""
    layers = base.layers * each
    if getattr(params, "recompute", "auto") == "on":
        layers = each + 4 * base.layers
    return tokens * base.hidden_size * layers


def _rounded(size: float) -> int:
    return int(CONTEXT + SLACK * size / 2**20 + 1)
