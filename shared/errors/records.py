"""Errors of a record that was tampered with."""

from shared.errors.base import GraftError


class ChainBroken(GraftError):
    """{detail}"""


class EventEdited(ChainBroken):
    """Event {seq} was changed after it was sealed (position {position} of the chain). Compare it
    with a backup; every event after it is untrusted."""

    zh = "事件 {seq} 在封存后被修改（链上第 {position} 位）。请与备份核对；其后的事件均不可信。"


class EventDeleted(ChainBroken):
    """Event {seq} was deleted after it was sealed (position {position} of the chain). Restore it
    from a backup; every event after it is untrusted."""

    zh = "事件 {seq} 在封存后被删除（链上第 {position} 位）。请从备份恢复；其后的事件均不可信。"


class SealMissing(ChainBroken):
    """The chain of events is broken at position {position}: the seal there is missing or does not
    follow the one before it. Compare the table eventseal with a backup."""

    zh = "事件链在第 {position} 位断开：该处的封印缺失，或与前一个不衔接。请将 eventseal 表与备份核对。"


class HeadLost(ChainBroken):
    """The chain of events does not have the noted hash at position {position}: it was cut off or
    written anew since. Compare the tables event and eventseal with a backup."""

    zh = "事件链第 {position} 位没有当时记下的哈希：此后它被截断或重写。请将 event 与 eventseal 表与备份核对。"
