"""ChatGLM-6B as a transformers model, its weights under their original names."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from worker.architectures.chatglm.configuration import ChatGLMConfig
from worker.architectures.chatglm.layers import GLMBlock, PrefixCache, rotary
from worker.architectures.chatglm.places import order_of, places_of

#: For transformers: what stays on one device, what goes where it is used, what files need not say.
_WHOLE, _MOVING, _COMPUTED = {"GLMBlock"}, {"past_key_values"}, {r"rotary_emb\.inv_freq$"}


class ChatGLMPreTrainedModel(PreTrainedModel):
    """What both models below share with transformers."""

    config: ChatGLMConfig
    config_class = ChatGLMConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _no_split_modules: set[str] | list[str] | None = _WHOLE
    _skip_keys_device_placement: set[str] | list[str] | None = _MOVING
    _supports_sdpa = True
    _keys_to_ignore_on_load_unexpected: set[str] | list[str] | None = _COMPUTED


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
        may be packed. Keys in a cache that this model did not fill are a trained prefix. Raises
        ValueError for a mask of another shape, since this attention makes its own.
        """
        if input_ids is None:
            raise ValueError("ChatGLM finds the end of a prompt by its ids: give input_ids")
        use_cache = self.config.use_cache if use_cache is None else use_cache
        cache = None
        if use_cache or past_key_values is not None:
            cache = PrefixCache.over(past_key_values)
        positions, visible = self._placed(input_ids, attention_mask, position_ids, cache)
        hidden = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        head = self.config.hidden_size // self.config.num_attention_heads
        turns = rotary(positions, head, hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, turns, visible, cache)
        return BaseModelOutputWithPast(
            last_hidden_state=self.final_layernorm(hidden), past_key_values=cache
        )

    def _placed(
        self, ids: Tensor, seen: Tensor | None, given: Tensor | None, cache: PrefixCache | None
    ) -> tuple[Tensor, Tensor]:
        """Positions (rows, 2, tokens), and (rows, 1, tokens, keys) what each token sees."""
        if seen is not None and seen.ndim != 2:
            raise ValueError("ChatGLM's prefix attention takes a mask of (rows, tokens) only")
        past = 0 if cache is None else cache.get_seq_length()
        explicit = given if given is not None and given.ndim == 3 else None
        if cache is not None and cache.anchors is not None and past:
            visible = torch.ones(*ids.shape, past + ids.shape[1], dtype=torch.bool).tril(past)
            order = order_of(ids, past, seen) - cache.ahead if given is None else given
            positions = cache.anchors.at(order.expand_as(ids)) if explicit is None else explicit
            return positions, _masked(visible.to(ids.device), seen)
        order = order_of(ids, 0, _own(seen, ids))
        if given is not None and explicit is None:
            order = given.expand_as(ids)
        places = places_of(ids, order, self.config)
        if cache is not None:
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
        inputs_embeds: Tensor | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """`generate` knows the whole sequence at every step, so every step gets its positions."""
        order = order_of(input_ids, 0, _own(attention_mask, input_ids))
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
