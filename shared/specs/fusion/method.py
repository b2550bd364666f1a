"""What the parameters class of every fusion method has: its words, and whether it transfers."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from shared.errors import Language
from shared.specs.base import Spec
from shared.specs.parameters import parameter


@dataclass(frozen=True)
class Words:
    """The same text in both languages."""

    en: str
    zh: str

    def say(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


class FusionParameters(Spec):
    """The parameters of one method; its name is the default of its field `method`.

    A method is a child of this class (of `Transfer` if it changes the base) anywhere in
    `shared/specs/fusion`, and a line in METHODS of `worker/fusion`.
    """

    #: Its name and one sentence about it, in forms and tables.
    title: ClassVar[Words]
    summary: ClassVar[Words]
    #: Text; each child narrows it to its own name.
    method: Any


class Transfer(FusionParameters):
    """A method that moves one adapter to another base; the others stay on theirs."""

    probe: Literal["off", "weights", "full", "preview"] = parameter(
        "weights",
        en=(
            "Probe",
            "Look at both bases first and recommend a route (COPY, TRANSPORT, REFRESH, RETRAIN): "
            "weights reads their files, full also runs both on some prompts, preview moreover reads "
            "answers of the dataset with the donor's change added: what a transfer may reach.",
        ),
        zh=(
            "探测",
            "先查看两个底座并推荐路线（COPY、TRANSPORT、REFRESH、RETRAIN）：weights 只读文件，"
            "full 还会让两者读一些提示，preview 再叠加供体的变化去读数据集的回答，预估迁移的上限。",
        ),
        group="advanced",
    )


class LayerByLayer(Transfer):
    """A transfer that puts each of the donor's layers somewhere in the host."""

    layer_shift: int = parameter(
        0,
        en=(
            "Layer shift",
            "Takes each layer from this many layers further on, round the end: a control, which "
            "should do nothing.",
        ),
        zh=("层错位", "每一层改取后移若干层（循环）的供体层：仅作对照，本应无作用。"),
        group="advanced",
        ge=0,
        le=1000,
    )
