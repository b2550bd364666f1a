"""EvaluationSpec: a base and adapters on it, scored on benchmark files, compared to a baseline."""

from typing import Literal

from shared.halves import Half
from shared.specs.base import Name, Spec
from shared.specs.parameters import parameter

#: `adapter` is the template that the adapters were trained with.
ArmTemplate = Literal[
    "adapter", "auto", "alpaca-en", "alpaca-zh", "vicuna", "chatglm", "belle", "rwkv", "plain"
]
#: The arm that is the base model without any adapter.
BASE_ARM = "base"
#: The benchmark that an evaluation makes of what its base writes.
OWN_WORDS = "own-words"
#: How samples of a knowledge base are chosen for an item.
Choosing = Literal["random", "retrieved"]
KnowledgeArm = Literal["base+random", "base+retrieved", "adapter+random", "adapter+retrieved"]


class EvaluationSpec(Spec):
    """Score arms (the base and each adapter) on the same items."""

    kind: Literal["evaluate"] = "evaluate"
    name: Name = parameter(
        en=("Comparison name", "What the comparison will be called; unique in the pool."),
        zh=("对比名称", "本次对比的名称，在资源池内唯一。"),
    )
    base_model: str = parameter(
        en=("Base model", "Scored without an adapter as the arm `base`."),
        zh=("底座模型", "不加适配器时作为 `base` 一方参与评测。"),
        picks="base_model",
    )
    adapters: list[str] = parameter(
        [],
        en=("Adapters", "Each one is an arm; all must belong to the base model."),
        zh=("适配器", "每个适配器为一方；都必须属于该底座。"),
        picks="adapter",
    )
    benchmarks: list[str] = parameter(
        en=("Benchmarks", "Files of choice, generate, continuation or instruct items."),
        zh=("评测集", "选择、生成、续写或指令类评测文件。"),
        picks="benchmark",
        min_length=1,
    )
    baseline: str = parameter(
        BASE_ARM,
        en=("Baseline", "The arm the others are compared to: `base` or one of the adapters."),
        zh=("基线", "其他各方与之比较：`base` 或其中一个适配器。"),
    )
    native: list[str] = parameter(
        [],
        en=(
            "Native arms",
            "Adapters trained on this base with all labels, one a seed: the share of their gain "
            "that every other arm recovers is reported.",
        ),
        zh=(
            "原生对照",
            "在本底座上用全部标注训练的适配器（每个种子一个）；报告其余各方恢复了其增益的多少。",
        ),
        picks="adapter",
        group="advanced",
    )
    controls: list[str] = parameter(
        [],
        en=("Controls", "Adapters that should do nothing; an arm counts only above all of them."),
        zh=("对照", "本应无作用的适配器；超过全部对照的一方才算有效。"),
        picks="adapter",
        group="advanced",
    )
    off_task: list[str] = parameter(
        [],
        en=("Off-task benchmarks", "Benchmarks the arms were not made for: what they forgot."),
        zh=("任务外评测集", "各方并非为之而做的评测集，用来看遗忘了多少。"),
        picks="benchmark",
        group="advanced",
    )
    missing: Literal["fail", "skip"] = parameter(
        "fail",
        en=(
            "Failed adapters",
            "What to do where the job that should make an adapter fails: fail, or skip that arm.",
        ),
        zh=("失败的适配器", "若应产生某适配器的任务失败：fail 则评测失败，skip 则略过该方。"),
        group="advanced",
    )
    knowledge: str = parameter(
        "",
        en=(
            "Knowledge base",
            "Its samples go before each choice and generate prompt of further arms. NAME, whose "
            "newest revision is frozen when the job is submitted, or NAME@REVISION.",
        ),
        zh=(
            "知识库",
            "其样本放在选择题与生成题之前，构成另外的参评方。名称（提交时冻结最新修订版）或 名称@修订版。",
        ),
        picks="knowledge",
    )
    samples: int = parameter(
        4,
        en=("Samples", "Samples of the knowledge base before each item, at most."),
        zh=("样本数", "每个条目之前最多放多少条知识库样本。"),
        unit="samples",
        ge=1,
        le=64,
    )
    knowledge_arms: list[KnowledgeArm] = parameter(
        ["base+random", "base+retrieved", "adapter+retrieved"],
        en=(
            "Arms with samples",
            "Which arms answer with samples too: the base or each adapter, with the most similar "
            "ones or with as many at random (which tells the format's share from retrieval's).",
        ),
        zh=(
            "带样本的参评方",
            "哪些参评方也带样本作答：底座或各适配器，取最相似的样本，或随机取同样多条（用于区分格式与检索的作用）。",
        ),
        group="advanced",
    )
    search: Literal["words", "vectors"] = parameter(
        "words",
        en=(
            "Similar by",
            "words: BM25 over words and pairs of Chinese characters. vectors: the mean of the "
            "base's own last hidden states, in every language it reads.",
        ),
        zh=(
            "相似依据",
            "words：对单词与汉字二元组用 BM25；vectors：用底座自身最后一层隐藏状态的均值，凡底座能读的语言均可。",
        ),
        group="advanced",
    )
    sample_tokens: int = parameter(
        512,
        en=(
            "Sample tokens",
            "Most tokens the samples of an item may take; the least similar are left out whole.",
        ),
        zh=("样本词元数", "每个条目的样本最多占用的词元数；超出时整条舍去最不相似的。"),
        unit="tokens",
        group="advanced",
        ge=16,
    )
    template: ArmTemplate = parameter(
        "adapter",
        en=(
            "Prompt template",
            "Wraps each choice and generate prompt, the same for every arm. Adapter takes the one "
            "the adapters were trained with, or auto where they differ.",
        ),
        zh=(
            "提示模板",
            "包装选择题与生成题的提示，对各方一致。adapter 使用适配器训练时的模板，不一致时用 auto。",
        ),
        group="advanced",
    )
    forgetting: int = parameter(
        0,
        en=(
            "Forgetting",
            "So many texts a language are written by the base itself, and every arm must foresee "
            "them (shown as own-words, in bits per byte): what it forgot. 100 give a verdict.",
        ),
        zh=(
            "遗忘",
            "由底座自己续写的文本条数（每种语言），各方都要预测它们（显示为 own-words，单位为每字节比特数），"
            "用来看忘了多少。100 条即可得出结论。",
        ),
        unit="texts",
        ge=0,
        le=1000,
    )
    half: Half = parameter(
        "all",
        en=(
            "Half",
            "Which items of each file: dev to choose between adapters, test for the last word, "
            "all for both. Each look at test items is counted and shown with the comparison.",
        ),
        zh=(
            "使用哪一半",
            "每个文件使用哪些条目：dev 用于挑选适配器，test 用于最终结论，all 为全部。"
            "每次查看 test 条目都会计数，并随对比显示。",
        ),
        group="advanced",
    )
    limit: int = parameter(
        0,
        en=(
            "Items",
            "Score only the first this many items of each file; 0 scores all. No verdict "
            "is given under 100 items.",
        ),
        zh=("条数", "每个文件只评前若干条；0 表示全部。不足 100 条时不给结论。"),
        unit="items",
        ge=0,
    )
    max_new_tokens: int = parameter(
        64,
        en=("Answer length", "Longest generated answer."),
        zh=("回答长度", "生成回答的最大长度。"),
        unit="tokens",
        ge=1,
        le=8192,
    )
    stop: list[str] = parameter(
        [],
        en=(
            "Stop strings",
            "A generated answer ends before the first of these, e.g. a blank line.",
        ),
        zh=("停止字符串", "生成的回答在其中任一字符串之前结束，例如空行。"),
        group="advanced",
    )
    batch_tokens: int = parameter(
        0,
        en=(
            "Batch tokens",
            "Tokens run at once; 0 takes what the device's memory allows. Does not change scores.",
        ),
        zh=("批词元数", "一次运行的词元数；0 表示按设备内存决定。不影响分数。"),
        unit="tokens",
        group="advanced",
        ge=0,
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

    def arms(self) -> dict[str, tuple[str, Choosing | None]]:
        """Every arm: (the base or adapter that answers, how its samples are chosen, if at all).

        `base`, the adapters, then the same names with `+random` or `+retrieved`.
        """
        models = [BASE_ARM, *self.adapters]
        found: dict[str, tuple[str, Choosing | None]] = {name: (name, None) for name in models}
        choosing: tuple[Choosing, ...] = ("random", "retrieved") if self.knowledge else ()
        for how in choosing:
            for name in models:
                who = BASE_ARM if name == BASE_ARM else "adapter"
                if f"{who}+{how}" in self.knowledge_arms:
                    found[f"{name}+{how}"] = (name, how)
        return found
