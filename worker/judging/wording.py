"""The question a judge is asked, in the language of the task."""

from shared.verdicts import Asked

LETTERS = ("A", "B")
_EN = """Here are a task and two answers to it. Which answer is better? A better answer does what \
the task asks, is correct, is written in the language that the task asks for, and does not repeat \
itself. Reply with one letter, A or B.

[Task]
{question}

[Answer A]
{a}

[Answer B]
{b}

The better answer is"""
_ZH = """下面是一个任务和两个回答。哪个回答更好？更好的回答应完成任务、内容正确、使用任务要求的\
语言、不重复啰嗦。只回复一个字母：A 或 B。

【任务】
{question}

【回答 A】
{a}

【回答 B】
{b}

更好的回答是"""


def question(pair: Asked, turned: bool) -> str:
    """The judge's question; `turned` names the pair's second answer A."""
    a, b = pair.first_text, pair.second_text
    if turned:
        a, b = b, a
    words = _ZH if pair.lang == "zh" else _EN
    return words.format(question=pair.question, a=a or "–", b=b or "–")
