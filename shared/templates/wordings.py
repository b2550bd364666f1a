"""The built-in prompt templates: words only, one entry for each language a template speaks."""

from dataclasses import dataclass

from shared.errors import Language


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How one language's conversation becomes text. Fields of braces: instruction, input, number.

    The end-of-text token follows every answer; these are the words around it.
    """

    #: Before the first turn, where the row says nothing of its own; and where that has an input.
    opening: str = ""
    opening_input: str = ""
    #: Around a row's own opening.
    system: str = "{system}\n\n"
    #: A user's turn, up to where the answer begins; without and with an input.
    turn: str
    turn_input: str = ""
    #: What an answer begins with, after the prompt.
    answer: str = ""
    #: Between an answer's end and the next turn.
    between: str = ""
    #: The number of the first turn.
    first: int = 0


#: The prompt Stanford Alpaca published, so that its adapters and ours understand each other.
_ALPACA_EN = Wording(
    opening=(
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n"
    ),
    opening_input=(
        "Below is an instruction that describes a task, paired with an input that provides "
        "further context. Write a response that appropriately completes the request.\n\n"
    ),
    turn="### Instruction:\n{instruction}\n\n### Response:\n",
    turn_input="### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n",
    between="\n\n",
)
_ALPACA_ZH = Wording(
    opening="以下是一条描述任务的指令。请写出恰当完成该请求的回答。\n\n",
    opening_input="以下是一条描述任务的指令，并附有提供背景的输入。请写出恰当完成该请求的回答。\n\n",
    turn="### 指令：\n{instruction}\n\n### 回答：\n",
    turn_input="### 指令：\n{instruction}\n\n### 输入：\n{input}\n\n### 回答：\n",
    between="\n\n",
)
#: FastChat's conversation "vicuna_v1.1".
_VICUNA = Wording(
    opening=(
        "A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions. "
    ),
    system="{system} ",
    turn="USER: {instruction} ASSISTANT:",
    turn_input="USER: {instruction}\n{input} ASSISTANT:",
    answer=" ",
)
#: ChatGLM-6B's `chat` with a history, for every turn.
_CHATGLM = Wording(
    system="{system}\n",
    turn="[Round {number}]\n问：{instruction}\n答：",
    turn_input="[Round {number}]\n问：{instruction}\n{input}\n答：",
    between="\n",
)
#: What BELLE trained with.
_BELLE = Wording(
    turn="Human: \n{instruction}\n\nAssistant: \n",
    turn_input="Human: \n{instruction}\n{input}\n\nAssistant: \n",
)
#: RWKV World's conversation.
_RWKV = Wording(
    turn="User: {instruction}\n\nAssistant:",
    turn_input="User: {instruction}\n{input}\n\nAssistant:",
    answer=" ",
    between="\n\n",
)
#: The row's own words and nothing else, for data that brings its prompt along.
_PLAIN = Wording(turn="{instruction}", turn_input="{instruction}\n{input}", between="\n")


def _both(wording: Wording) -> dict[Language, Wording]:
    return {"en": wording, "zh": wording}


#: Template -> wording for rows of each language.
TEMPLATES: dict[str, dict[Language, Wording]] = {
    "auto": {"en": _ALPACA_EN, "zh": _ALPACA_ZH},
    "alpaca-en": _both(_ALPACA_EN),
    "alpaca-zh": _both(_ALPACA_ZH),
    "vicuna": _both(_VICUNA),
    "chatglm": _both(_CHATGLM),
    "belle": _both(_BELLE),
    "rwkv": _both(_RWKV),
    "plain": _both(_PLAIN),
}
