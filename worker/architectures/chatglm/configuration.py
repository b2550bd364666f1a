"""ChatGLM-6B's config.json, read under the names its checkpoint uses."""

from typing import Any, ClassVar

from transformers import PretrainedConfig

#: Keys that only ChatGLM2 and ChatGLM3 have; they share the model_type.
_LATER = ("ffn_hidden_size", "multi_query_attention", "padded_vocab_size")


class ChatGLMConfig(PretrainedConfig):
    """The fields of the original config.json; ids default to those of the slimmed vocabulary.

    Raises ValueError for what shares the model_type but is another model: ChatGLM2 and 3, and
    checkpoints that are quantised or carry a trained prefix.
    """

    model_type: ClassVar[str] = "chatglm"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["past_key_values"]
    attribute_map: ClassVar[dict[str, str]] = {
        "num_hidden_layers": "num_layers",
        "intermediate_size": "inner_hidden_size",
        "max_position_embeddings": "max_sequence_length",
    }

    #: 130528 in the slimmed vocabulary, 150528 in the first release (20,000 image tokens ahead).
    vocab_size: int = 130528
    hidden_size: int = 4096
    num_layers: int = 28
    num_attention_heads: int = 32
    inner_hidden_size: int = 16384
    layernorm_epsilon: float = 1e-5
    max_sequence_length: int = 2048
    #: <sop>, which begins an answer, and <eop>, which ends it.
    bos_token_id: int = 130004
    eos_token_id: int = 130005
    pad_token_id: int | None = 3
    #: [MASK] and [gMASK]; the first release's config.json does not name them.
    mask_token_id: int | None = None
    gmask_token_id: int | None = None
    #: The residual factor is sqrt(2 · this). The original code takes 28 whatever num_layers says.
    residual_layers: int = 28
    position_encoding_2d: bool = True
    quantization_bit: int = 0
    pre_seq_len: int | None = None
    initializer_range: float = 0.02
    use_cache: bool = True
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        if any(key in kwargs for key in _LATER):
            raise ValueError(
                "this is ChatGLM2 or ChatGLM3, whose own code is not run; "
                "convert it with `graft models convert FOLDER OUT`"
            )
        if self.quantization_bit:
            raise ValueError(
                f"its weights are packed to {self.quantization_bit} bits; "
                "take the checkpoint in half precision"
            )
        if self.pre_seq_len is not None:
            raise ValueError("it names a prefix (pre_seq_len), which is no part of the base")
        if not self.position_encoding_2d:
            raise ValueError("position_encoding_2d is false; only the published 2-D form is known")
        # In both vocabularies the special tokens lie in one block: [MASK] [gMASK] … <sop> <eop>.
        if self.mask_token_id is None:
            self.mask_token_id = self.bos_token_id - 4
        if self.gmask_token_id is None:
            self.gmask_token_id = self.bos_token_id - 3
        super().__post_init__(**kwargs)
