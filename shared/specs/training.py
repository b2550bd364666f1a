"""TrainingSpec: one LoRA trained on one base model from one dataset."""

from typing import Literal

from shared.specs.base import LoraParameters, Name, OptimiserParameters
from shared.specs.parameters import parameter
from shared.specs.tuning import ObjectiveParameters, TuningParameters

#: `auto` takes the Alpaca template of each row's own language.
TemplateName = Literal[
    "auto",
    "alpaca-en",
    "alpaca-zh",
    "vicuna",
    "chatglm",
    "belle",
    "rwkv",
    "plain",
    "chat",
    "custom",
]


class TrainingSpec(ObjectiveParameters, TuningParameters, LoraParameters, OptimiserParameters):
    """Train an adapter on one base from one dataset."""

    kind: Literal["train"] = "train"
    name: Name = parameter(
        en=("Adapter name", "What the trained adapter will be called; unique in the pool."),
        zh=("适配器名称", "训练所得适配器的名称，在资源池内唯一。"),
    )
    base_model: str = parameter(
        en=("Base model", "The frozen model the adapter is trained on."),
        zh=("底座模型", "训练适配器所用的冻结模型。"),
        picks="base_model",
    )
    dataset: str = parameter(
        en=(
            "Dataset",
            "A registered file. Several are mixed: `alpaca:2,belle:1` draws two rows of the first "
            "for each of the second, `alpaca,belle` takes every row once.",
        ),
        zh=(
            "数据集",
            "已登记的文件。可混合多个：`alpaca:2,belle:1` 按 2:1 抽取，`alpaca,belle` 每行各取一次。",
        ),
        picks="mixture",
    )
    languages: str = parameter(
        "",
        en=(
            "Languages",
            "Draw rows by language, e.g. `en:1,zh:1` for as many of each; empty takes what is there.",
        ),
        zh=("语言配比", "按语言抽取，如 `en:1,zh:1` 表示各半；留空则不调整。"),
        group="advanced",
    )
    deduplicate: bool = parameter(
        False,
        en=("Leave out duplicates", "Rows that say the same as an earlier one are not trained."),
        zh=("去重", "与之前某行内容相同的行不参与训练。"),
        group="advanced",
    )
    held_out: float = parameter(
        0.0,
        en=(
            "Held out",
            "Share of the instructions whose rows are kept from training; no instruction is on "
            "both sides. A translation counts as another instruction.",
        ),
        zh=("留出比例", "不参与训练的指令所占比例；同一指令不会出现在两边；译文视为另一条指令。"),
        group="advanced",
        ge=0,
        le=0.5,
    )
    template: TemplateName = parameter(
        "auto",
        en=(
            "Prompt template",
            "Wraps a row into a prompt; stored with the adapter and used again. Auto uses the "
            "Alpaca template of each row's language, chat the tokenizer's own, custom a Jinja text.",
        ),
        zh=(
            "提示模板",
            "把一行数据包装成提示，并随适配器保存、再次使用。auto 按每行语言选用 Alpaca 模板，"
            "chat 用分词器自带模板，custom 用 Jinja 文本。",
        ),
    )
    template_text: str = parameter(
        "",
        en=(
            "Template text",
            "Jinja for the custom template: reads messages (role, content), add_generation_prompt "
            "and eos_token, as tokenizers' chat templates do.",
        ),
        zh=(
            "模板文本",
            "custom 模板的 Jinja 文本：可用 messages（role、content）、add_generation_prompt、eos_token，"
            "与分词器的 chat 模板相同。",
        ),
        group="advanced",
        max_length=64_000,
    )
    max_length: int = parameter(
        512,
        en=("Max length", "Longer rows are cut to this many tokens; the log says how many."),
        zh=("最大长度", "超出的行会截断到该词元数；日志会报告数量。"),
        unit="tokens",
        ge=8,
        le=1_000_000,
    )
    rows: int = parameter(
        0,
        en=("Rows", "Use only this many rows, chosen by the seed; 0 uses all."),
        zh=("行数", "只用这么多行（由随机种子挑选）；0 表示全部。"),
        unit="rows",
        group="advanced",
        ge=0,
    )
    checkpoint_every: int = parameter(
        50,
        en=("Checkpoint every", "Steps between checkpoints; a killed job goes on from the last."),
        zh=("检查点间隔", "两次检查点之间的步数；被中断的任务从最近的检查点继续。"),
        unit="steps",
        group="advanced",
        ge=1,
    )
    time_limit: int = parameter(
        0,
        en=("Time limit", "Stop the job after this long; 0 means no limit."),
        zh=("时限", "超过该时长即停止任务；0 表示不限。"),
        unit="s",
        group="advanced",
        ge=0,
    )
