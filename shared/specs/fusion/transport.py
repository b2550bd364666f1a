"""Transfers by weights: the donor's factors mapped into the host's spaces, without training."""

from typing import Literal

from shared.specs.fusion.method import LayerByLayer, Transfer, Words
from shared.specs.fusion.teaching import Texts
from shared.specs.parameters import parameter


class Moved(Transfer):
    """Parameters of every method that moves weights."""

    scale: float = parameter(
        1.0,
        en=("Scale", "Multiplies the moved update."),
        zh=("缩放", "乘到迁移后的更新量上。"),
        group="advanced",
        gt=0,
        le=16,
    )


class Transport(Texts, Moved, LayerByLayer):
    """Parameters of a transport that is fitted on both bases' activations."""

    tokens: int = parameter(
        4096,
        en=("Tokens", "Places of text where both bases' activations are paired."),
        zh=("词元数", "用于配对两个底座激活值的文本位置数。"),
        unit="tokens",
        ge=64,
        le=1_000_000,
    )
    layers: Literal["proportional", "cka"] = parameter(
        "proportional",
        en=(
            "Layer map",
            "Pair layers by relative depth, or by the similarity (CKA) of what they compute.",
        ),
        zh=("层映射", "按相对深度配对，或按各层输出的相似度（CKA）配对。"),
    )
    least_r2: float = parameter(
        0.0,
        en=(
            "Least R²",
            "A module whose map explains less than this of held-out activations is left out.",
        ),
        zh=("最小 R²", "在留出的激活上解释程度低于该值的模块不迁移。"),
        group="advanced",
        ge=-1000,
        le=1,
    )


class Procrustes(Transport):
    """Orthogonal maps between the two bases' activations (Theseus, arXiv 2602.12952)."""

    title = Words(en="Procrustes transport", zh="普氏迁移")
    summary = Words(
        en="Carries the donor's weights into the host by orthogonal maps fitted on texts that both bases read. No labels, no training; a start for distillation rather than an end.",
        zh="在两个底座共同阅读的文本上拟合正交映射，把供体权重搬到宿主。无需标注与训练；适合作为蒸馏的起点。",
    )
    method: Literal["procrustes"] = "procrustes"


class Ridge(Transport):
    """Ridge regression of the adapter's bottleneck on the host's activations."""

    title = Words(en="ridge transport", zh="岭回归迁移")
    summary = Words(
        en="Carries the donor's weights into the host by regressing the adapter's bottleneck on the host's activations. No labels, no training.",
        zh="把适配器的瓶颈激活回归到宿主激活上，从而搬运权重。无需标注与训练。",
    )
    method: Literal["ridge"] = "ridge"
    penalty: float = parameter(
        0.01,
        en=("Penalty", "λ as a share of the activations' mean square."),
        zh=("惩罚", "λ 与激活均方值之比。"),
        group="advanced",
        gt=0,
        le=100,
    )


class CrossLora(Moved):
    """Maps between singular subspaces of the two bases' weights (arXiv 2508.05232).

    A published baseline: singular vectors have arbitrary signs, so its result depends on a draw.
    """

    title = Words(en="Cross-LoRA", zh="Cross-LoRA 投影")
    summary = Words(
        en="Published data-free baseline: matches singular directions of both bases' weights. Kept for comparison; its result depends on arbitrary signs.",
        zh="已发表的无数据基线：按奇异方向匹配两个底座的权重。仅供对比；结果取决于任意的符号。",
    )
    method: Literal["cross_lora"] = "cross_lora"
    subspace: int = parameter(
        320,
        en=("Subspace", "Singular directions of each weight that are matched."),
        zh=("子空间", "每个权重参与匹配的奇异方向数。"),
        ge=1,
        le=65536,
    )
    seed: int = parameter(
        0,
        en=("Sign draw", "Singular vectors have no sign of their own; 0 takes the library's."),
        zh=("符号抽取", "奇异向量没有确定的符号；0 取线性代数库给出的符号。"),
        group="advanced",
        ge=0,
        le=2**31 - 1,
    )


class ProLora(Moved):
    """Range and null space of the update projected onto the host's (arXiv 2506.04244).

    A published baseline, for hosts of the donor's shape.
    """

    title = Words(en="ProLoRA", zh="ProLoRA 投影")
    summary = Words(
        en="Published baseline: projects the update onto the host's range and null space. Needs a host of the donor's shape.",
        zh="已发表的基线：把更新量投影到宿主的值域与零空间。要求宿主与供体形状相同。",
    )
    method: Literal["pro_lora"] = "pro_lora"
    subspace: int = parameter(
        320,
        en=("Subspace", "Singular directions of each weight that count as its range."),
        zh=("子空间", "每个权重中计为值域的奇异方向数。"),
        ge=1,
        le=65536,
    )
