"""The two starter bases: what they are made of and how they are trained from the world's text."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    GlmConfig,
    GlmForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from shared.starter import lexicon
from worker.starter import vocabulary
from worker.starter.attention_start import look_back, look_up
from worker.starter.muon import Muon
from worker.starter.recipes import BaseRecipe

#: Marks what is not trained; transformers' losses skip it.
UNTRAINED = -100
#: Called after each optimiser step with its loss (nats a token).
OnStep = Callable[[float], None]


def make_base(recipe: BaseRecipe, texts: list[str], folder: Path, on_step: OnStep) -> None:
    """Train a base on `texts` and save model and tokenizer into `folder`."""
    tokenizer = vocabulary.build(recipe.tokenizer, recipe.vocabulary, texts)
    tokenizer.model_max_length = recipe.context
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = _build(recipe, tokenizer)
    # On texts this short quicker than fused attention, much so under oneDNN.
    model.set_attn_implementation("eager")
    _train(model, recipe, tokenizer, _batches(recipe, tokenizer, texts), on_step)
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _build(recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast) -> Any:
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": recipe.rope_theta}
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": recipe.width,
        "num_hidden_layers": recipe.layers,
        "num_attention_heads": recipe.heads,
        "num_key_value_heads": recipe.kv_heads,
        "head_dim": recipe.head_width,
        "intermediate_size": recipe.feed_forward,
        "max_position_embeddings": recipe.context,
        "attention_bias": True,
        "initializer_range": 0.05,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if recipe.family == "glm":
        rope["partial_rotary_factor"] = 0.5
        return GlmForCausalLM(GlmConfig(**shape, rope_parameters=rope))
    return LlamaForCausalLM(LlamaConfig(**shape, rope_parameters=rope))


@dataclass(frozen=True)
class Batch:
    """Documents of similar length: token ids and what to learn of them, (documents, tokens)."""

    ids: torch.Tensor
    labels: torch.Tensor


def _batches(
    recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> list[Batch]:
    """One document a row, so that whatever a row names again was named in that row.

    Half the rows begin with <s>: prompts come with and without it.
    """
    draw = random.Random(recipe.seed)
    rows = [
        [tokenizer.bos_token_id] * draw.randint(0, 1) + ids + [tokenizer.eos_token_id]
        for ids in tokenizer(texts)["input_ids"]
    ]
    rows = sorted((row[: recipe.context] for row in rows), key=len)
    groups: list[list[list[int]]] = [[]]
    for row in rows:
        if (len(groups[-1]) + 1) * len(row) > recipe.batch_tokens and groups[-1]:
            groups.append([])
        groups[-1].append(row)
    draw.shuffle(groups)
    names = _name_tokens(tokenizer)
    return [_batch(group, names, recipe.unforeseen, draw) for group in groups]


def _batch(
    rows: list[list[int]],
    names: set[int],
    unforeseen: float,
    draw: random.Random,
) -> Batch:
    labels = []
    for row in rows:
        first = {token: at for at, token in reversed(list(enumerate(row))) if token in names}
        skipped = {at for at in first.values() if draw.random() < unforeseen}
        labels.append([UNTRAINED if at in skipped else token for at, token in enumerate(row)])
    padding = vocabulary.SPECIAL.index(vocabulary.PAD)
    return Batch(_padded(rows, padding), _padded(labels, UNTRAINED))


def _padded(rows: list[list[int]], filler: int) -> torch.Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], True, filler)


def _name_tokens(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    """The tokens that are a whole name of a person, town or thing."""
    words = (*lexicon.PEOPLE, *lexicon.TOWNS, *lexicon.THINGS)
    spelled = [text for word in words for text in (word.zh, word.en, f" {word.en}")]
    return {ids[0] for ids in tokenizer(spelled)["input_ids"] if len(ids) == 1}


def _words(tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """The number of the word each token is; a leading space does not make another word."""
    numbers: dict[str, int] = {}
    texts = [
        str(tokenizer.decode([token])).strip() or f"<{token}>" for token in range(len(tokenizer))
    ]
    return torch.tensor([numbers.setdefault(text, len(numbers)) for text in texts])


def _train(
    model: Any,
    recipe: BaseRecipe,
    tokenizer: PreTrainedTokenizerFast,
    batches: list[Batch],
    on_step: OnStep,
) -> None:
    """First the words' neighbourhoods, then, with attention that can look words up, reading."""
    look_back(model)
    first, steps = recipe.first_steps, recipe.steps
    order = [batches[step % len(batches)] for step in range(first + steps)]
    _steps(model, recipe, order[:first], on_step, decay=False)
    model.eval()
    look_up(model, recipe.layers - 2, [b.ids for b in order[-40:]], _words(tokenizer))
    _steps(model, recipe, order[first:], on_step, decay=True)


def _steps(
    model: Any, recipe: BaseRecipe, batches: list[Batch], on_step: OnStep, *, decay: bool
) -> None:
    """Muon for the matrices, Adam for embeddings, norms and biases; warm-up over 20 steps."""
    slow = {w: _slowness(name, recipe) for name, w in model.named_parameters()}
    matrices = [w for name, w in model.named_parameters() if w.ndim == 2 and "embed" not in name]
    chosen = {id(weight) for weight in matrices}
    others = [weight for weight in slow if id(weight) not in chosen]
    muon = Muon(matrices)
    groups = [{"params": [weight], "scale": slow[weight]} for weight in others]
    adam = torch.optim.Adam(groups, betas=(0.9, 0.98))
    model.train()
    for step, batch in enumerate(batches):
        remaining = (len(batches) - step) / (0.4 * len(batches)) if decay else 1.0
        scale = min(1.0, (step + 1) / 20, remaining)
        for group in adam.param_groups:
            group["lr"] = recipe.other_rate * scale * group["scale"]
        loss = model(input_ids=batch.ids, labels=batch.labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step({weight: recipe.matrix_rate * scale * slow[weight] for weight in matrices})
        adam.step()
        model.zero_grad(set_to_none=True)
        on_step(loss.item())


def _slowness(name: str, recipe: BaseRecipe) -> float:
    return recipe.attention_factor if "q_proj" in name or "k_proj" in name else 1.0
