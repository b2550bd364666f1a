"""ChatGLM-6B's layers (GLM, arXiv 2103.10360; DeepNorm residuals, arXiv 2203.00555).

Written from the architecture's facts under the original weight names. Two tricks of the original
code that keep fp16 in range are left out because they cancel: queries are divided by (layer + 1)
and scores multiplied by it. Rotary angles are computed in fp32 from frequencies that the original
keeps in fp16; those are rounded here as there, the angles are not.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from worker.architectures.chatglm.configuration import ChatGLMConfig
from worker.architectures.chatglm.places import Anchors, order_of, places_of

_ROTARY_BASE = 10_000.0


class PrefixCache(DynamicCache):
    """Keys and values, and where each row's prompt ended."""

    anchors: Anchors | None = None

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._take(lambda rows: rows[indices])

    def reorder_cache(self, beam_idx: Tensor) -> None:
        super().reorder_cache(beam_idx)
        self._take(lambda rows: rows[beam_idx])

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._take(lambda rows: rows.repeat_interleave(repeats))

    def _take(self, chosen: Any) -> None:
        if self.anchors is not None:
            self.anchors = Anchors(chosen(self.anchors.answer), chosen(self.anchors.mask))


class SelfAttention(nn.Module):
    """Attention whose query, key and value lie side by side for each head."""

    def __init__(self, config: ChatGLMConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads = config.num_attention_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self, hidden: Tensor, rotary: tuple[Tensor, Tensor], visible: Tensor, cache: Cache | None
    ) -> Tensor:
        """hidden (rows, tokens, width), visible (rows, 1, tokens, keys)."""
        rows, tokens, width = hidden.shape
        mixed = self.query_key_value(hidden).view(rows, tokens, self.heads, 3, -1)
        query, key, value = mixed.permute(3, 0, 2, 1, 4)
        query, key = _rotated(query, *rotary), _rotated(key, *rotary)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        return self.dense(found.transpose(1, 2).reshape(rows, tokens, width))


class MLP(nn.Module):
    """Two linear modules with a GELU (its tanh form) between them, no gate."""

    def __init__(self, config: ChatGLMConfig) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, config.inner_hidden_size)
        self.dense_4h_to_h = nn.Linear(config.inner_hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = functional.gelu(self.dense_h_to_4h(hidden), approximate="tanh")
        return self.dense_4h_to_h(inner)


class GLMBlock(GradientCheckpointingLayer):
    """A layer; the residual branches carry the *normalised* input, times sqrt(2 · layers)."""

    def __init__(self, config: ChatGLMConfig, layer: int) -> None:
        super().__init__()
        width, epsilon = config.hidden_size, config.layernorm_epsilon
        self.residual = (2 * config.residual_layers) ** 0.5
        self.input_layernorm = nn.LayerNorm(width, eps=epsilon)
        self.attention = SelfAttention(config, layer)
        self.post_attention_layernorm = nn.LayerNorm(width, eps=epsilon)
        self.mlp = MLP(config)

    def forward(
        self, hidden: Tensor, rotary: tuple[Tensor, Tensor], visible: Tensor, cache: Cache | None
    ) -> Tensor:
        normed = self.input_layernorm(hidden)
        hidden = normed * self.residual + self.attention(normed, rotary, visible, cache)
        normed = self.post_attention_layernorm(hidden)
        return normed * self.residual + self.mlp(normed)


class ChatGLMPreTrainedModel(PreTrainedModel):
    """What both models below share with transformers."""

    config_class = ChatGLMConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[list[str]] = ["GLMBlock"]
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True
    _keys_to_ignore_on_load_unexpected: ClassVar[list[str]] = [r"rotary_emb\.inv_freq$"]


class ChatGLMModel(ChatGLMPreTrainedModel):
    """The layers between the embeddings and the output head."""

    def __init__(self, config: ChatGLMConfig) -> None:
        super().__init__(config)
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(GLMBlock(config, layer) for layer in range(config.num_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.word_embeddings = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **_: Any,
    ) -> BaseModelOutputWithPast:
        """input_ids (rows, tokens); attention_mask (rows, keys), 0 at padding.

        position_ids are the tokens' numbers in their sequences (rows, tokens), or positions as
        `places_of` gives them (rows, 2, tokens). Where numbers start anew, so does a sequence: rows
        may be packed. Raises ValueError for a mask of another shape, since this attention makes its
        own, and for tokens that continue a cache whose prompt is unknown.
        """
        if input_ids is None:
            raise ValueError("ChatGLM finds the end of a prompt by its ids: give input_ids")
        use_cache = self.config.use_cache if use_cache is None else use_cache
        if past_key_values is None and use_cache:
            past_key_values = PrefixCache(config=self.config)
        positions, visible = self._placed(input_ids, attention_mask, position_ids, past_key_values)
        hidden = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        rotary = _rotary(positions, self.config.hidden_size // self.config.num_attention_heads)
        rotary = (rotary[0].to(hidden.dtype), rotary[1].to(hidden.dtype))
        for layer in self.layers:
            hidden = layer(hidden, rotary, visible, past_key_values)
        return BaseModelOutputWithPast(
            last_hidden_state=self.final_layernorm(hidden), past_key_values=past_key_values
        )

    def _placed(
        self, ids: Tensor, seen: Tensor | None, given: Tensor | None, cache: Cache | None
    ) -> tuple[Tensor, Tensor]:
        """Positions (rows, 2, tokens), and (rows, 1, tokens, keys) what each token sees."""
        if seen is not None and seen.ndim != 2:
            raise ValueError("ChatGLM's prefix attention takes a mask of (rows, tokens) only")
        rows, length = ids.shape
        past = 0 if cache is None else cache.get_seq_length()
        anchors = getattr(cache, "anchors", None)
        explicit = given if given is not None and given.ndim == 3 else None
        if past and (anchors is not None or explicit is not None):
            visible = torch.ones(rows, length, past + length, dtype=torch.bool, device=ids.device)
            if explicit is None:
                order = order_of(rows, length, past, seen, ids.device) if given is None else given
                explicit = anchors.at(order.expand(rows, length))
            return explicit, _masked(visible.tril(past), seen)
        if past and not bool((ids == self.config.bos_token_id).any(1).all()):
            raise ValueError("the cache does not say where its prompts end")
        order = order_of(rows, length, 0, _own(seen, ids), ids.device)
        if given is not None and explicit is None:
            order = given.expand(rows, length)
        places = places_of(ids, order, self.config)
        if isinstance(cache, PrefixCache):
            cache.anchors = places.anchors
        # Keys from before the tokens, such as a trained prefix, are seen by all.
        visible = functional.pad(places.visible(), (past, 0), value=True)
        return places.positions if explicit is None else explicit, _masked(visible, seen)


class ChatGLMForConditionalGeneration(ChatGLMPreTrainedModel, GenerationMixin):
    """ChatGLM-6B with its output head, which is not tied to the embeddings."""

    def __init__(self, config: ChatGLMConfig) -> None:
        super().__init__(config)
        self.transformer = ChatGLMModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.transformer.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.transformer.word_embeddings = value

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.lm_head = new_embeddings

    def forward(
        self,
        input_ids: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **inputs: Any,
    ) -> CausalLMOutputWithPast:
        """As `ChatGLMModel.forward`; `labels` (rows, tokens), -100 where nothing is learned."""
        made = self.transformer(input_ids=input_ids, **inputs)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(made.last_hidden_state[:, kept])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, self.config.vocab_size)
        return CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=made.past_key_values
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        next_sequence_length: int | None = None,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """`generate` knows the whole sequence at every step, so every step gets its positions."""
        order = order_of(*input_ids.shape, 0, _own(attention_mask, input_ids), input_ids.device)
        positions = places_of(input_ids, order, self.config).positions
        last = next_sequence_length or input_ids.shape[1]
        return {
            "input_ids": input_ids[:, -last:],
            "position_ids": positions[..., -last:],
            "past_key_values": past_key_values,
            "attention_mask": attention_mask,
            "use_cache": past_key_values is not None,
        }


def _own(seen: Tensor | None, ids: Tensor) -> Tensor | None:
    """The mask of the ids alone, without that of a trained prefix before them."""
    return None if seen is None else seen[:, -ids.shape[1] :]


def _masked(visible: Tensor, seen: Tensor | None) -> Tensor:
    """`visible` (rows, tokens, keys) less padding, with a dimension for the heads.

    Every token sees itself, so that padding, which nobody reads, has something to attend to.
    """
    if seen is not None:
        before = visible.shape[2] - visible.shape[1]
        keys = functional.pad(seen.bool(), (visible.shape[2] - seen.shape[1], 0), value=True)
        itself = torch.ones_like(visible[0]).tril(before).triu(before)
        visible = visible & keys[:, None, :] | itself
    return visible[:, None]


def _rotary(positions: Tensor, head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (rows, 1, tokens, head): its first half turns by the first position, its
    second half by the second."""
    half = head // 2
    steps = torch.arange(0, half, 2, device=positions.device, dtype=torch.float32) / half
    frequencies = (1.0 / _ROTARY_BASE**steps).half().float()
    angles = positions[..., None].float() * frequencies
    both = torch.cat([angles, angles], -1).transpose(1, 2).flatten(2)[:, None]
    return both.cos(), both.sin()


def _rotated(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """x (rows, heads, tokens, head), each half of a head turned in pairs half of it apart."""
    low, high = x.unflatten(-1, (2, -1)).chunk(2, -1)
    return x * cosines + torch.cat([-high, low], -1).flatten(-2) * sines
