"""ChatSpec: a base and adapters on it, asked side by side by a person for as long as they ask."""

from typing import Literal

from shared.specs.base import Name, Spec
from shared.specs.evaluation import BASE_ARM, ArmTemplate
from shared.specs.parameters import parameter

#: Which models also answer with samples of the knowledge base.
ChatArm = Literal["base+retrieved", "adapter+retrieved"]
RETRIEVED = "+retrieved"


class ChatSpec(Spec):
    """Answer questions as several arms until nobody asks any more; a short, interactive job."""

    kind: Literal["chat"] = "chat"
    name: Name = parameter(
        en=("Session name", "What the session is called in the list of jobs."),
        zh=("会话名称", "会话在任务列表中的名称。"),
    )
    base_model: str = parameter(
        en=("Base model", "Answers without an adapter as the arm `base`."),
        zh=("底座模型", "不加适配器时作为 `base` 一方回答。"),
        picks="base_model",
    )
    adapters: list[str] = parameter(
        [],
        en=("Adapters", "Each one is an arm, trained or fused; all must belong to the base model."),
        zh=("适配器", "每个适配器（训练或融合所得）为一方；都必须属于该底座。"),
        picks="adapter",
        max_length=3,
    )
    knowledge: str = parameter(
        "",
        en=(
            "Knowledge base",
            "Its samples go before each question of further arms. NAME, whose newest revision is "
            "frozen when the session is started, or NAME@REVISION.",
        ),
        zh=(
            "知识库",
            "其样本放在每个问题之前，构成另外的回答方。名称（开始会话时冻结最新修订版）或 名称@修订版。",
        ),
        picks="knowledge",
    )
    knowledge_arms: list[ChatArm] = parameter(
        ["base+retrieved"],
        en=("Arms with samples", "Which arms answer once more, with the most similar samples."),
        zh=("带样本的回答方", "哪些回答方再带最相似的样本回答一次。"),
        group="advanced",
    )
    samples: int = parameter(
        4,
        en=("Samples", "Samples of the knowledge base before each question, at most."),
        zh=("样本数", "每个问题之前最多放多少条知识库样本。"),
        unit="samples",
        group="advanced",
        ge=1,
        le=64,
    )
    template: ArmTemplate = parameter(
        "adapter",
        en=(
            "Prompt template",
            "Wraps every question. Adapter takes, for each one, the template it was trained with; "
            "the base gets auto.",
        ),
        zh=("提示模板", "包装每个问题。adapter 让各适配器使用其训练时的模板，底座用 auto。"),
        group="advanced",
    )
    max_new_tokens: int = parameter(
        128,
        en=("Answer length", "Longest answer."),
        zh=("回答长度", "回答的最大长度。"),
        unit="tokens",
        ge=1,
        le=4096,
    )
    idle_timeout: int = parameter(
        600,
        en=("Idle time", "The session ends, and its card goes back, after so long no question."),
        zh=("空闲时限", "超过该时长没有提问，会话即结束并归还显卡。"),
        unit="s",
        ge=1,
        le=7200,
    )
    precision: Literal["auto", "fp32", "bf16"] = parameter(
        "auto",
        en=("Precision", "auto takes bf16 on a GPU, fp32 on a CPU."),
        zh=("精度", "auto 在 GPU 上用 bf16，在 CPU 上用 fp32。"),
        group="advanced",
    )
    time_limit: int = parameter(
        3600,
        en=("Time limit", "The session is stopped after this long, however much is asked."),
        zh=("时限", "超过该时长即停止会话，无论是否还在提问。"),
        unit="s",
        group="advanced",
        ge=10,
        le=28_800,
    )

    def arms(self) -> dict[str, tuple[str, bool]]:
        """Every arm: (the base or adapter that answers, whether samples go before its questions).

        Named as in an evaluation: `base`, the adapters, then the same names with `+retrieved`.
        """
        models = [BASE_ARM, *self.adapters]
        found = {name: (name, False) for name in models}
        for name in models if self.knowledge else ():
            who = BASE_ARM if name == BASE_ARM else "adapter"
            if who + RETRIEVED in self.knowledge_arms:
                found[name + RETRIEVED] = (name, True)
        return found
