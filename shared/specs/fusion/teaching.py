"""What transfers that read texts have in common, and those whose host adapter is taught by them."""

from shared.specs.base import LoraParameters, OptimiserParameters
from shared.specs.fusion.method import Transfer
from shared.specs.parameters import parameter


class Texts(Transfer):
    """Parameters of a method that reads unlabelled texts."""

    dataset: str = parameter(
        en=(
            "Prompts",
            "Dataset whose instructions and inputs are asked; its outputs are not looked at. The "
            "donor's own training data work best.",
        ),
        zh=(
            "提示集",
            "取其 instruction 与 input 作为提问；不读取其 output。用供体自己的训练数据效果最好。",
        ),
        picks="dataset",
    )
    rows: int = parameter(
        0,
        en=("Rows", "How many prompts to ask; 0 asks all."),
        zh=("行数", "提问的条数；0 表示全部。"),
        unit="rows",
        ge=0,
    )


class Learning(Texts, LoraParameters, OptimiserParameters):
    """Parameters of a method that trains an adapter of the host."""

    max_length: int = parameter(
        512,
        en=("Max length", "Longer rows are cut to this many tokens."),
        zh=("最大长度", "超出的行会截断到该词元数。"),
        unit="tokens",
        group="advanced",
        ge=8,
        le=1_000_000,
    )
    checkpoint_every: int = parameter(
        50,
        en=("Checkpoint every", "Steps between checkpoints."),
        zh=("检查点间隔", "两次检查点之间的步数。"),
        unit="steps",
        group="advanced",
        ge=1,
    )


class Teaching(Learning):
    """Parameters of a method whose host adapter learns from the donor's answers."""

    max_new_tokens: int = parameter(
        128,
        en=("Answer length", "Longest answer of the donor; longer ones are dropped as unfinished."),
        zh=("回答长度", "供体回答的最大长度；未结束的回答会被丢弃。"),
        unit="tokens",
        ge=1,
        le=8192,
    )
    temperature: float = parameter(
        0.0,
        en=(
            "Temperature",
            "Of the donor's answers; 0 takes the likeliest token, right for labels. 1 samples, right for text: one wording alone would be learned otherwise.",
        ),
        zh=(
            "温度",
            "供体回答的采样温度；0 表示贪心，适合标签类回答；1 表示采样，适合文本，否则只会学到一种措辞。",
        ),
        group="advanced",
        ge=0,
        le=2,
    )
