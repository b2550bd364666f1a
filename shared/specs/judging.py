"""JudgeSpec: a base model reads pairs of answers of a comparison and says which is better."""

from typing import Literal

from shared.specs.base import Name, Spec
from shared.specs.parameters import parameter

JudgeTemplate = Literal[
    "auto", "alpaca-en", "alpaca-zh", "vicuna", "chatglm", "belle", "rwkv", "plain"
]


class JudgeSpec(Spec):
    """Let a base model vote between answers of a comparison's arms, each pair in both orders."""

    kind: Literal["judge"] = "judge"
    name: Name = parameter(
        en=("Name", "What the job is called in the list of jobs."),
        zh=("名称", "任务在列表中的名称。"),
    )
    comparison: str = parameter(
        en=(
            "Comparison",
            "Whose written answers are judged: one that is there, or that a job on its way makes.",
        ),
        zh=("对比", "评判其书面回答的对比：已有的，或由尚未结束的任务产生的。"),
        picks="comparison",
        min_length=1,
    )
    base_model: str = parameter(
        en=(
            "Judge",
            "The registered base that judges. A small or untuned one mostly prefers a place; the "
            "verdicts say how often it contradicts itself when the answers trade places.",
        ),
        zh=(
            "裁判",
            "作为裁判的已登记底座。过小或未经指令微调的底座多半只偏爱位置；结论会说明答案互换位置后它自相矛盾的比例。",
        ),
        picks="base_model",
    )
    against: Literal["baseline", "all"] = parameter(
        "baseline",
        en=(
            "Pairs",
            "Every arm against the comparison's baseline, or all arms against each other.",
        ),
        zh=("配对", "baseline：各方与基线比较；all：各方两两比较。"),
    )
    items: int = parameter(
        100,
        en=(
            "Items",
            "So many items of each benchmark are judged for a pair of arms; those whose answers "
            "are equal need no judge.",
        ),
        zh=("条数", "每对参评方在每个评测集上评判多少条；两个回答相同的无需评判。"),
        unit="items",
        ge=1,
        le=10_000,
    )
    template: JudgeTemplate = parameter(
        "auto",
        en=("Prompt template", "Wraps the judge's question: the one the judge was trained with."),
        zh=("提示模板", "包装对裁判的提问：应为裁判训练时所用的模板。"),
        group="advanced",
    )
    precision: Literal["auto", "fp32", "bf16"] = parameter(
        "auto",
        en=("Precision", "auto takes bf16 on a GPU, fp32 on a CPU; softmax is always fp32."),
        zh=("精度", "auto 在 GPU 上用 bf16，在 CPU 上用 fp32；softmax 始终为 fp32。"),
        group="advanced",
    )
    time_limit: int = parameter(
        0,
        en=("Time limit", "Stop the job after this long; 0 means no limit."),
        zh=("时限", "超过该时长即停止任务；0 表示不限。"),
        unit="s",
        group="advanced",
        ge=0,
    )
