"""The parameters of teaching a host base by the donor's answers."""

from typing import Literal

from shared.specs.fusion.method import Words
from shared.specs.fusion.teaching import Teaching


class Refresh(Teaching):
    """The donor with its adapter answers prompts; a new adapter of the host base learns them.

    Works across tokenizers (Trans-LoRA, arXiv 2405.17258; Refresh-D, arXiv 2608.20918).
    """

    title = Words(en="refresh", zh="重学")
    summary = Words(
        en="The donor with its adapter answers prompts; a new adapter on the host base learns the answers. Works across tokenizers.",
        zh="由带适配器的供体回答提示，再在宿主底座上训练新适配器学习这些回答。分词器不同也可用。",
    )
    method: Literal["refresh"] = "refresh"
