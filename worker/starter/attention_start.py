"""Attention that begins as something useful, so that a starter base learns to read in a minute.

Left to chance, a small transformer needs many thousands of steps before its attention looks up
what a text has already named. Mimetic initialisation (Trockman and Kolter 2023, arXiv 2305.09828)
starts attention near a known solution; here the first layer starts by looking at the tokens just
before, and a later one is fitted, in closed form, to look up the earlier mention of a word.
"""

from dataclasses import dataclass
from typing import Any

import torch

#: Size of the constant part of keys and queries that look back.
LOOK_BACK = 5.0
#: Rotary frequencies that carry it, the fastest ones.
FAST = 4
#: A dimension stands still if `STILL_TOKENS` positions turn it less than `STILL_ANGLE` radians.
STILL_ANGLE, STILL_TOKENS = 0.6, 60
#: Mean advantage of the right place over the others, in nats of attention.
MARGIN = 6.0
#: Below this chance of being foreseen a word counts as one to look up.
UNSURE = 0.5


def _pairs(model: Any) -> list[tuple[int, int, float]]:
    """A head's rotary pairs, fastest first: dimension, its partner, radians a token."""
    config = model.config
    rope = config.rope_parameters
    rotary = int(config.head_dim * rope.get("partial_rotary_factor", 1.0))
    half = rotary // 2
    rates = [rope["rope_theta"] ** (-2 * pair / rotary) for pair in range(half)]
    if config.model_type == "glm":  # neighbouring dimensions are pairs; LLaMA pairs the halves
        return [(2 * pair, 2 * pair + 1, rate) for pair, rate in enumerate(rates)]
    return [(pair, pair + half, rate) for pair, rate in enumerate(rates)]


@torch.no_grad()
def look_back(model: Any) -> None:
    """Let the first layer's first head attend one token back, its last head two.

    The key's constant part is k, the query's is k turned by -d tokens: they agree most at
    distance d, whatever the tokens are.
    """
    attention, config = model.model.layers[0].self_attn, model.config
    query = torch.zeros(config.num_attention_heads, config.head_dim)
    key = torch.zeros(config.num_key_value_heads, config.head_dim)
    for first, second, rate in _pairs(model)[:FAST]:
        key[[0, -1], first] = LOOK_BACK
        for head, distance in ((0, 1), (-1, 2)):
            angle = torch.tensor(rate * distance)
            query[head, first] = LOOK_BACK * torch.cos(angle)
            query[head, second] = -LOOK_BACK * torch.sin(angle)
    attention.q_proj.bias.copy_(query.flatten())
    attention.k_proj.bias.copy_(key.flatten())


@dataclass(frozen=True)
class _Sight:
    """What one batch shows at the input of a layer; i runs over places, j over earlier ones."""

    #: (batch, i, width)
    states: torch.Tensor
    #: (batch, i, j): 1 where the word that comes after i stood at j.
    seen: torch.Tensor
    #: (batch, i): 1 where the coming word has stood before and the model does not foresee it.
    asked: torch.Tensor
    #: (batch, i, width): embedding of the coming token.
    coming: torch.Tensor
    #: Root mean square of what the layer adds to.
    scale: float

    @property
    def found(self) -> torch.Tensor:
        """Mean state where the coming word stood: (batch, i, width)."""
        return self.seen @ self.states / self.seen.sum(-1).clamp(min=1)[..., None]

    @property
    def average(self) -> torch.Tensor:
        """Mean state of everything up to i: (batch, i, width)."""
        places = torch.arange(1, self.states.shape[1] + 1)
        return self.states.cumsum(1) / places[None, :, None]


def _look(model: Any, layer: int, ids: torch.Tensor, words: torch.Tensor) -> _Sight:
    output = model(input_ids=ids, output_hidden_states=True)
    residual = output.hidden_states[layer]
    states = model.model.layers[layer].input_layernorm(residual)[:, :-1]
    chance = output.logits[:, :-1].softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    spoken = words[ids]
    seen = (spoken[:, 1:, None] == spoken[:, None, :-1]).float().tril()
    real = ids[:, 1:] >= 4  # past the special tokens
    asked = (seen.sum(-1) > 0) & real & (chance < UNSURE)
    coming = model.get_input_embeddings().weight[ids[:, 1:]]
    return _Sight(states, seen, asked.float(), coming, residual.pow(2).mean().sqrt().item())


@torch.no_grad()
def look_up(model: Any, layer: int, batches: list[torch.Tensor], words: torch.Tensor) -> None:
    """Fit the attention of `layer` to find, and repeat, the earlier mention of the coming word.

    `batches` are token ids (documents, tokens); `words[token]` numbers the word a token is, the
    same with and without its leading space.
    """
    sights = [_look(model, layer, ids, words) for ids in batches]
    attention = model.model.layers[layer].self_attn
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.bias.zero_()
    _fit_query_and_key(model, attention, sights)
    _fit_value_and_output(model, attention, sights)


def _fit_query_and_key(model: Any, attention: Any, sights: list[_Sight]) -> None:
    """Query-key form: the top of the cross-covariance of asking place and answering place.

    That covariance is the (negative) gradient of the loss by the form where attention is uniform
    and values are copied. Only dimensions that positions hardly turn can carry it.
    """
    config = model.config
    cross = sum(
        torch.einsum("bi,biw,biv->wv", s.asked, s.states, s.found - s.average) for s in sights
    )
    left, strength, right = torch.linalg.svd(torch.as_tensor(cross))
    moving = {
        dimension
        for first, second, rate in _pairs(model)
        for dimension in (first, second)
        if rate * STILL_TOKENS > STILL_ANGLE
    }
    still = [dimension for dimension in range(config.head_dim) if dimension not in moving]
    power = (strength / strength[0]).sqrt()[: len(still)]
    query = torch.zeros(config.head_dim, config.hidden_size)
    key = torch.zeros_like(query)
    query[still] = (left[:, : len(still)] * power).T
    key[still] = right[: len(still)] * power[:, None]
    size = (MARGIN / _margin(query, key, sights)) ** 0.5
    attention.q_proj.weight.copy_((query * size).repeat(config.num_attention_heads, 1))
    attention.k_proj.weight.copy_((key * size).repeat(config.num_key_value_heads, 1))


def _margin(query: torch.Tensor, key: torch.Tensor, sights: list[_Sight]) -> float:
    """Mean score of the right place above the mean of all earlier ones, over what is asked."""
    total = asked = 0.0
    for sight in sights:
        aim = (sight.states @ query.T) @ key / query.shape[0] ** 0.5
        ahead = (aim * (sight.found - sight.average)).sum(-1)
        total += (ahead * sight.asked).sum().item()
        asked += sight.asked.sum().item()
    return max(total / max(asked, 1.0), 1e-3)


def _fit_value_and_output(model: Any, attention: Any, sights: list[_Sight]) -> None:
    """Value-output form: ridge regression from an answering place to the coming embedding.

    Its best directions go to the heads' dimensions; heads that share values share the output.
    """
    config = model.config
    source = torch.cat([s.found[s.asked > 0] for s in sights])
    target = torch.cat([s.coming[s.asked > 0] for s in sights])
    source = source - source.mean(0)
    gram = source.T @ source
    ridge = 0.01 * gram.diagonal().mean() * torch.eye(len(gram))
    form = torch.linalg.solve(gram + ridge, source.T @ target)
    copied = source @ form
    directions = torch.linalg.svd(copied, full_matrices=False).Vh
    slots = config.num_key_value_heads * config.head_dim
    rank = min(slots, len(directions))
    value = torch.zeros(slots, config.hidden_size)
    output = torch.zeros(slots, config.hidden_size)
    value[:rank] = directions[:rank] @ form.T
    output[:rank] = directions[:rank]
    length = value.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    shared = config.num_attention_heads // config.num_key_value_heads
    heads = (output * length / shared).view(config.num_key_value_heads, config.head_dim, -1)
    heads = heads.repeat_interleave(shared, 0).flatten(0, 1)
    loudness = sights[0].scale / copied.pow(2).mean().sqrt().clamp(min=1e-6)
    attention.v_proj.weight.copy_(value / length)
    attention.o_proj.weight.copy_(heads.T * loudness)
