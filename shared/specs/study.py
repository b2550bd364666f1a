"""StudySpec: one donor moved to one base in several ways, with everything they are judged by."""

from shared.specs.base import LoraParameters, Name, OptimiserParameters
from shared.specs.fusion import FUSION_METHODS
from shared.specs.fusion.method import Transfer
from shared.specs.fusion.noise import Noise
from shared.specs.parameters import parameter

#: Ways to move an adapter that a study may try.
STUDIED = tuple(
    name
    for name, method in FUSION_METHODS.items()
    if issubclass(method, Transfer) and method is not Noise
)


class StudySpec(LoraParameters, OptimiserParameters):
    """Natives, transfers and controls as jobs of their own, and one evaluation of them all."""

    name: Name = parameter(
        en=("Study name", "Name of the comparison; the jobs are called NAME-native and so on."),
        zh=("研究名称", "对比的名称；各任务名为 NAME-native 等。"),
    )
    adapter: str = parameter(
        en=("Donor", "The adapter to move."), zh=("供体", "要迁移的适配器。"), picks="adapter"
    )
    host_base: str = parameter(
        en=("Host base", "The base that receives it."),
        zh=("宿主底座", "接收适配器的底座。"),
        picks="base_model",
    )
    dataset: str = parameter(
        en=(
            "Dataset",
            "What the donor was trained on: its prompts are asked, and its labels train the native "
            "adapter that all others are measured against.",
        ),
        zh=("数据集", "供体的训练数据：其提示用于提问，其标注用于训练作为参照的原生适配器。"),
        picks="dataset",
    )
    benchmarks: list[str] = parameter(
        en=("Benchmarks", "What the donor is good at."),
        zh=("评测集", "供体所擅长的评测集。"),
        picks="benchmark",
        min_length=1,
    )
    off_task: list[str] = parameter(
        [],
        en=("Off-task benchmarks", "What it was not trained for: how much is forgotten."),
        zh=("任务外评测集", "并非其训练目标的评测集：看遗忘了多少。"),
        picks="benchmark",
    )
    methods: list[str] = parameter(
        ["copy", "procrustes", "refresh"],
        en=("Methods", f"Ways to move it: {', '.join(STUDIED)}."),
        zh=("方法", f"迁移方法：{', '.join(STUDIED)}。"),
        min_length=1,
    )
    labels: int = parameter(
        100,
        en=("Few labels", "Also train a native adapter on so many rows only; 0 does not."),
        zh=("少量标注", "另用这么多行训练一个原生适配器；0 表示不做。"),
        unit="rows",
        ge=0,
    )
    draws: int = parameter(
        2,
        en=("Random controls", "How many random adapters of the donor's size are judged too."),
        zh=("随机对照", "同时评测多少个与供体同样大小的随机适配器。"),
        ge=1,
        le=20,
    )
    other_donors: list[str] = parameter(
        [],
        en=(
            "Other tasks' donors",
            "Adapters of the donor's base for other tasks: each is moved by the same methods, as a "
            "control of what any donor brings.",
        ),
        zh=(
            "其他任务的供体",
            "同一供体底座、其他任务的适配器：用同样的方法迁移，作为“任何供体都能带来多少”的对照。",
        ),
        picks="adapter",
    )
    other_natives: list[str] = parameter(
        [],
        en=(
            "Other tasks' natives",
            "Adapters of the host base for other tasks: their mean is a control of what any adapter "
            "of that base brings.",
        ),
        zh=(
            "其他任务的原生适配器",
            "宿主底座、其他任务的适配器：其平均作为“该底座的任何适配器都能带来多少”的对照。",
        ),
        picks="adapter",
    )
    seeds: int = parameter(
        1,
        en=("Seeds", "How often everything that is trained is trained anew."),
        zh=("种子数", "凡需训练者各重复多少次。"),
        ge=1,
        le=20,
    )
    max_length: int = parameter(
        512,
        en=("Max length", "Longer rows are cut to this many tokens."),
        zh=("最大长度", "超出的行会截断到该词元数。"),
        unit="tokens",
        group="advanced",
        ge=8,
        le=1_000_000,
    )
    max_new_tokens: int = parameter(
        128,
        en=("Answer length", "Longest generated answer, of the donor and in the evaluation."),
        zh=("回答长度", "供体作答与评测时的最大生成长度。"),
        unit="tokens",
        group="advanced",
        ge=1,
        le=8192,
    )
