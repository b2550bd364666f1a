"""The parameters of Arrow routing: adapters kept apart, each token led to those that fit it."""

from typing import Literal

from shared.specs.fusion.method import FusionParameters, Words
from shared.specs.parameters import parameter


class Arrow(FusionParameters):
    """Arrow routing (Ostapenko et al. 2024, arXiv 2405.11157)."""

    title = Words(en="Arrow routing", zh="Arrow 路由")
    summary = Words(
        en="Keeps the adapters apart: each token goes to those whose strongest input direction it "
        "meets most. For more than a few unlike skills. The pool evaluates it routed; elsewhere "
        "PEFT's Arrow model loads the folder experts, and plain PEFT their mean.",
        zh="各适配器保持独立：每个词元交给最强输入方向与之最吻合者。适合多个差异较大的技能。"
        "池内按路由评测；在别处可用 PEFT 的 Arrow 模型加载 experts 文件夹，普通 PEFT 则得到其均值。",
    )
    method: Literal["arrow"] = "arrow"
    top_k: int = parameter(
        3,
        en=("Experts a token", "How many adapters answer each token; more than there are: all."),
        zh=("每词元专家数", "每个词元由多少个适配器应答；超过总数即全部。"),
        ge=1,
        le=64,
    )
    temperature: float = parameter(
        1.0,
        en=("Router temperature", "Below 1 the best fitting adapter prevails, above they mix."),
        zh=("路由温度", "低于 1 时最吻合者占优，高于 1 时趋于混合。"),
        gt=0,
        le=100,
    )
