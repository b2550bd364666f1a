"""Random base models a few hundred kilobytes large, made on the spot, and adapters for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PrefixTuningConfig, TaskType, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GlmConfig,
    GlmForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

TEXTS = [
    "Below is an instruction that describes a task. Write a response.",
    "### Instruction: ### Input: ### Response: Name the capital of France. Paris.",
    "The quick brown fox jumps over the lazy dog, and the river runs to the sea.",
    "Summarise the text: a small model can learn a small thing well.",
    "下面是一条指令，请写出恰当的回答。",
    "### 指令： ### 输入： ### 回答：请说出法国的首都。巴黎。",
    "敏捷的棕色狐狸跳过懒狗，河水流向大海。",
    "请概括这段文字：小模型也能把小事情学好。",
]
SPECIAL = ["<s>", "</s>", "<pad>", "<unk>"]


def make_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `size` tokens that adds neither <s> nor </s> by itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


def make_llama(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """A LLaMA base, 64 wide, 2 layers, 4 heads over 2 KV heads; `config` overrides its shape."""
    shape: dict[str, Any] = {
        "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "max_position_embeddings": 512,
    }  # fmt: skip
    return _make(folder, LlamaConfig, LlamaForCausalLM, make_tokenizer(384), seed, shape | config)


def make_glm(folder: Path, *, seed: int = 1, **config: Any) -> Path:
    """A GLM base, 48 wide, 3 layers, 3 heads over 1 KV head, gate and up projections fused."""
    shape: dict[str, Any] = {
        "hidden_size": 48, "intermediate_size": 112, "num_hidden_layers": 3,
        "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 16,
        "max_position_embeddings": 512, "attention_bias": True,
    }  # fmt: skip
    return _make(folder, GlmConfig, GlmForCausalLM, make_tokenizer(320), seed, shape | config)


def _make(
    folder: Path,
    config_class: Any,
    model_class: Any,
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    shape: dict[str, Any],
) -> Path:
    config = config_class(
        vocab_size=len(tokenizer),
        # Larger than the usual 0.02, so that a tiny model's logits are not all alike.
        initializer_range=0.1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **shape,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_adapter(
    base: Path,
    folder: Path,
    *,
    rank: int = 4,
    alpha: float = 8.0,
    seed: int = 0,
    targets: Sequence[str] | None = None,
    scale: float = 0.1,
    **config: Any,
) -> Path:
    """A LoRA adapter folder in PEFT's format with both factors random (standard deviation `scale`).

    Without `targets` it covers every linear module but the output head; `config` goes to
    `LoraConfig` (use_rslora, rank_pattern, ...).
    """
    model = AutoModelForCausalLM.from_pretrained(base)
    lora = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # pyright: ignore[reportArgumentType]  # PEFT takes floats too
        target_modules=list(targets or _linear_names(model)),
        task_type=TaskType.CAUSAL_LM,
        **config,
    )
    adapted = get_peft_model(model, lora)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def _linear_names(model: torch.nn.Module) -> list[str]:
    """Last names of the linear modules, such as q_proj, without the output head."""
    linear = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
    return sorted({name.rsplit(".", 1)[-1] for name in linear} - {"lm_head"})


def write_prefix(model: Any, folder: Path, *, tokens: int = 5, seed: int = 0) -> Path:
    """A random prefix for a loaded model as PEFT itself saves one, large enough to be heard."""
    config = PrefixTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=tokens)
    adapted = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(seed)
    [weight] = [each for each in adapted.parameters() if each.requires_grad]
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=generator) * 2)
    adapted.save_pretrained(str(folder))
    return folder
