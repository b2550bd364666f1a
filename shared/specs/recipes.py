"""Published recipes as values of a TrainingSpec, under the names people know them by."""

from dataclasses import dataclass
from typing import Any

from shared.errors import InvalidSpec

_ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a published training was run with; name, base and dataset are the user's own."""

    #: Where the values stand.
    source: str
    #: What it trains on: a base, a format of `shared.formats`.
    base: str
    format: str
    #: What it is, and where it differs from its source.
    en: str
    zh: str
    values: dict[str, Any]


RECIPES: dict[str, Recipe] = {
    "alpaca-lora-7b": Recipe(
        source="tloen/alpaca-lora, finetune.py",
        base="LLaMA-7B",
        format="alpaca",
        en="LoRA on q and v, 256 tokens, batches of 128; answers alone are trained, where the source trains prompts too.",
        zh="对 q、v 做 LoRA，256 词元，批大小 128；只训练回答（原项目连提示一起训练）。",
        values={
            "template": "alpaca-en", "rank": 8, "alpha": 16.0, "dropout": 0.05,
            "target_modules": ["q_proj", "v_proj"], "learning_rate": 3e-4, "epochs": 3.0,
            "batch_size": 128, "micro_batch_size": 4, "max_length": 256, "schedule": "linear",
            # 100 steps of 1,172; 2,000 rows of 52,002.
            "warmup_ratio": 0.085, "held_out": 0.0385,
        },
    ),
    "chatglm-tuning": Recipe(
        source="mymusise/ChatGLM-Tuning, README",
        base="ChatGLM-6B",
        format="context-target",
        en="LoRA on the fused query_key_value; rows bring their prompt along. The base stays in half precision, where the source has it in 8 bits.",
        zh="对融合的 query_key_value 做 LoRA；数据自带提示。底座为半精度（原项目为 8 位）。",
        values={
            "template": "plain", "rank": 8, "alpha": 32.0, "dropout": 0.1,
            "target_modules": ["query_key_value"], "learning_rate": 1e-4, "max_steps": 52_000,
            "batch_size": 6, "max_length": 200, "schedule": "linear", "warmup_ratio": 0.0,
            "checkpoint_every": 1000,
        },
    ),
    "chinese-vicuna": Recipe(
        source="Facico/Chinese-Vicuna, finetune.py",
        base="LLaMA-7B",
        format="alpaca",
        en="LoRA on q and v from Chinese instructions in the English Alpaca prompt.",
        zh="用中文指令、英文 Alpaca 提示，对 q、v 做 LoRA。",
        values={
            "template": "alpaca-en", "rank": 8, "alpha": 16.0, "dropout": 0.05,
            "target_modules": ["q_proj", "v_proj"], "learning_rate": 3e-4, "epochs": 3.0,
            "batch_size": 128, "micro_batch_size": 4, "max_length": 256, "schedule": "linear",
            "warmup_ratio": 0.03,
        },
    ),
    "belle-lora": Recipe(
        source="LianjiaTech/BELLE, train/scripts/run_sft.sh",
        base="LLaMA-7B",
        format="sharegpt",
        en="LoRA on all seven linear modules, several turns in BELLE's own prompt, 1,024 tokens.",
        zh="对全部七个线性模块做 LoRA，多轮对话，BELLE 提示，1024 词元。",
        values={
            "template": "belle", "rank": 16, "alpha": 32.0, "dropout": 0.05,
            "target_modules": _ALL_LINEAR, "learning_rate": 3e-4, "epochs": 10.0,
            "batch_size": 8, "micro_batch_size": 1, "max_length": 1024, "schedule": "cosine",
            "warmup_ratio": 0.01, "weight_decay": 1e-5, "seed": 1234,
        },
    ),
    "ptuning-v2": Recipe(
        source="THUDM/ChatGLM-6B, ptuning/train.sh",
        base="ChatGLM-6B",
        format="content-summary",
        en="P-Tuning v2: 128 virtual tokens before every layer, 128 tokens a row (the source: 64 in, 64 out); rows whose question fills them are left out, where the source cuts it. The base stays in half precision, where the source has it in 4 bits.",
        zh="P-Tuning v2：每层前置 128 个虚拟词元，每行 128 词元（原项目：输入、输出各 64）；问题占满的行会略去（原项目会截断）。底座为半精度（原项目为 4 位）。",
        values={
            "template": "plain", "tuning": "prefix", "virtual_tokens": 128,
            "learning_rate": 2e-2, "max_steps": 3000, "batch_size": 16, "micro_batch_size": 1,
            "max_length": 128, "schedule": "linear", "warmup_ratio": 0.0,
        },
    ),
    "rwkv-lora": Recipe(
        source="JL-er/RWKV-PEFT, README",
        base="RWKV",
        format="text",
        en="LoRA on every projection with a constant rate and 512 tokens; layer norms and decays are not trained, where the source does.",
        zh="对全部投影做 LoRA，恒定学习率，512 词元；不训练层归一化与衰减（原项目会训练）。",
        values={
            "template": "rwkv", "rank": 32, "alpha": 32.0, "learning_rate": 2e-5,
            "max_steps": 1000, "batch_size": 8, "max_length": 512, "schedule": "constant",
            "warmup_ratio": 0.0,
        },
    ),
}  # fmt: skip


def recipe(name: str) -> dict[str, Any]:
    """The values that a recipe gives a TrainingSpec.

    Raises InvalidSpec for a name that no recipe has.
    """
    if name not in RECIPES:
        problem = f'there is no "{name}"; known: {", ".join(RECIPES)}'
        raise InvalidSpec(field="recipe", problem=problem)
    return dict(RECIPES[name].values)
