"""How an adapter learns: the objective, the kind of adapter, and when training ends early."""

from typing import Literal

from pydantic import ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from shared.specs.base import Spec
from shared.specs.parameters import parameter


class ObjectiveParameters(Spec):
    """What a training minimises."""

    objective: Literal["auto", "sft", "pretrain", "dpo"] = parameter(
        "auto",
        en=(
            "Objective",
            "sft learns the answers; pretrain learns every token; dpo learns to prefer one answer "
            "over another. Auto takes dpo for preferences and sft for everything else.",
        ),
        zh=(
            "训练目标",
            "sft 学习回答；pretrain 学习每个词元；dpo 学习偏好。auto 对偏好数据用 dpo，其余用 sft。",
        ),
    )
    beta: float = parameter(
        0.1,
        en=(
            "DPO beta",
            "How strongly dpo holds the model to its base; smaller moves further away.",
        ),
        zh=("DPO beta", "dpo 对底座的约束强度；越小偏离越多。"),
        group="advanced",
        gt=0,
        le=100,
    )

    look_every: int = parameter(
        0,
        en=(
            "Look every",
            "Steps between looks at the held-out rows; 0 looks ten times. The weights of the best "
            "look are published.",
        ),
        zh=(
            "查看间隔",
            "两次计算留出行损失之间的步数；0 表示共查看十次。发布最好一次的权重。",
        ),
        unit="steps",
        group="advanced",
        ge=0,
    )
    patience: int = parameter(
        0,
        en=(
            "Patience",
            "End after so many looks without a lower held-out loss; 0 trains to the end.",
        ),
        zh=("耐心", "留出行损失连续这么多次没有降低就结束；0 表示训练到底。"),
        group="advanced",
        ge=0,
    )


class TuningParameters(Spec):
    """What kind of adapter is trained, and how it begins."""

    tuning: Literal["lora", "dora", "prefix", "full"] = parameter(
        "lora",
        en=(
            "Tuning",
            "lora adds low-rank updates; dora also learns each row's length; prefix (P-Tuning v2) "
            "learns keys and values that stand before every text; full trains every weight of a "
            "small base (about 20 bytes a weight; a tenth of lora's learning rate).",
        ),
        zh=(
            "微调方式",
            "lora 添加低秩更新；dora 另学每行的长度；prefix（P-Tuning v2）学习置于文本之前的键和值；"
            "full 训练小底座的全部权重（每个权重约 20 字节；学习率取 lora 的十分之一）。",
        ),
    )
    scaling: Literal["rank", "root"] = parameter(
        "rank",
        en=("Scaling", "alpha / rank, or alpha / √rank (rsLoRA), which suits high ranks."),
        zh=("缩放", "alpha / 秩，或 alpha / √秩（rsLoRA，适合较大的秩）。"),
        group="advanced",
    )
    start: Literal["zero", "pissa"] = parameter(
        "zero",
        en=(
            "Start",
            "zero begins with no change; pissa with the base's principal directions, and publishes "
            "an adapter of twice the rank for the unchanged base.",
        ),
        zh=(
            "初始化",
            "zero 从无改动开始；pissa 从底座的主方向开始，发布的适配器秩为两倍，底座不变。",
        ),
        group="advanced",
    )
    lora_plus: float = parameter(
        1.0,
        en=("LoRA+ ratio", "B's learning rate over A's; LoRA+ recommends 16, 1 is plain LoRA."),
        zh=("LoRA+ 比值", "B 与 A 的学习率之比；LoRA+ 建议 16，1 即普通 LoRA。"),
        group="advanced",
        ge=1,
        le=1024,
    )
    also_train: Literal["none", "embeddings", "head", "both"] = parameter(
        "none",
        en=(
            "Also train in full",
            "Token embeddings, output head or both beside the adapter, as a new language or new "
            "tokens may need; the adapter's file grows by their size.",
        ),
        zh=(
            "同时整体训练",
            "除适配器外，整体训练词嵌入、输出头或两者，适合新语言或新词元；适配器文件相应变大。",
        ),
        group="advanced",
    )
    virtual_tokens: int = parameter(
        20,
        en=("Virtual tokens", "Length of the prefix; only for prefix tuning."),
        zh=("虚拟词元数", "前缀长度；仅用于 prefix。"),
        unit="tokens",
        group="advanced",
        ge=1,
        le=4096,
    )
    base_bits: Literal["full", "8", "4", "fp8"] = parameter(
        "full",
        en=(
            "Bits of the base",
            "Hold the frozen base in 8 or 4 bits (QLoRA) where bitsandbytes is installed: a half or "
            "a quarter of its memory, slower steps, slightly other logits. fp8: on Ada and Hopper "
            "cards, products with it in 8-bit floats while training: the memory of bf16, faster "
            "steps together with compiled layers. For plain lora.",
        ),
        zh=(
            "底座位数",
            "在装有 bitsandbytes 的主机上以 8 或 4 位（QLoRA）加载冻结的底座：显存减为一半或四分之一，"
            "每步更慢，logit 略有不同。fp8：在 Ada 与 Hopper 显卡上，训练时与底座的乘积使用 8 位浮点："
            "显存同 bf16，与编译各层同用时每步更快。仅用于普通 lora。",
        ),
        group="advanced",
    )
    packing: bool = parameter(
        True,
        en=(
            "Packing",
            "Lay rows end to end, each seeing only itself, where the base can; else rows of like "
            "length are padded together. Does not change what is learned.",
        ),
        zh=(
            "打包",
            "底座支持时把各行首尾相接、互不可见；否则把长度相近的行补齐在一起。不影响学到的内容。",
        ),
        group="advanced",
    )

    recompute: Literal["auto", "on", "off"] = parameter(
        "auto",
        en=(
            "Recompute activations",
            "Layers keep their input alone and run again for the gradient: a third more time, far "
            "less memory. Auto does so only where memory is short. Does not change the result.",
        ),
        zh=(
            "重新计算激活",
            "各层只保留输入，求梯度时再算一遍：时间增加约三分之一，内存大减。auto 仅在内存不足时启用。不影响结果。",
        ),
        group="advanced",
    )
    spread: Literal["auto", "on", "off"] = parameter(
        "auto",
        en=(
            "Spread the base",
            "On several cards: each holds its part of the frozen base's layers, which are brought "
            "together while they compute; slower. Auto does so only where the base would not fit on "
            "one card. For lora and prefix. Does not change the result.",
        ),
        zh=(
            "分散底座",
            "多卡时：每张卡只存放冻结底座各层的一部分，计算时再合在一起；更慢。auto 仅在一张卡放不下底座时启用。"
            "用于 lora 与 prefix。不影响结果。",
        ),
        group="advanced",
    )
    compiled: bool = parameter(
        False,
        en=(
            "Compile layers",
            "Compile the base's layers first: some seconds to a minute, then faster steps on a "
            "GPU. For trainings of more than a few minutes.",
        ),
        zh=(
            "编译各层",
            "先编译底座各层：需数秒至一分钟，之后 GPU 上每步更快。适合超过几分钟的训练。",
        ),
        group="advanced",
    )

    @field_validator("tuning")
    @classmethod
    def _lora_alone(cls, value: str, info: ValidationInfo) -> str:
        given = info.data.get("target_modules") or info.data.get("dropout")
        if value in ("prefix", "full") and given:
            raise PydanticCustomError("only_lora_has", "only lora has modules and dropout")
        return value

    @field_validator("spread")
    @classmethod
    def _spread_alone(cls, value: str, info: ValidationInfo) -> str:
        plain = {"tuning": ("lora", "prefix"), "start": ("zero",), "base_bits": ("full",)}
        if value == "on" and any(info.data.get(name) not in fit for name, fit in plain.items()):
            raise PydanticCustomError("spread_takes_lora", "lora or prefix only")
        return value

    @field_validator("start", "lora_plus", "also_train", "base_bits", "compiled")
    @classmethod
    def _together(cls, value: str | float | bool, info: ValidationInfo) -> str | float | bool:
        tuning = info.data.get("tuning")
        if info.field_name == "start" and value == "pissa" and tuning != "lora":
            raise PydanticCustomError("pissa_is_for_lora", "pissa starts lora only")
        if info.field_name == "lora_plus" and value != 1 and tuning == "prefix":
            raise PydanticCustomError("prefix_has_no_b", "a prefix has no B")
        if info.field_name == "also_train" and value != "none" and tuning == "prefix":
            raise PydanticCustomError("prefix_alone", "a prefix is trained alone")
        alone = {"lora_plus": 1.0, "also_train": "none"}
        if tuning == "full" and value != alone.get(info.field_name or "", value):
            raise PydanticCustomError("full_alone", "full trains everything")
        if info.field_name == "base_bits" and value != "full":
            start = info.data.get("start")
            if tuning != "lora" or start != "zero" or info.data.get("also_train") != "none":
                raise PydanticCustomError("quantised_takes_lora", "plain lora only")
            if value == "fp8" and info.data.get("precision") == "fp32":
                raise PydanticCustomError("fp8_takes_bf16", "fp8 goes with bf16")
        if info.field_name == "compiled" and value and info.data.get("spread") == "on":
            raise PydanticCustomError("spread_not_compiled", "spread layers are not compiled")
        if info.field_name == "compiled" and value and tuning == "prefix":
            raise PydanticCustomError("prefix_not_compiled", "a prefix is not compiled")
        return value
