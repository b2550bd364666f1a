"""The engine of playground sessions: several arms answer a person's questions at once."""

from worker.chat.session import chat

__all__ = ["chat"]
