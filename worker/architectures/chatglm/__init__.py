"""ChatGLM-6B as released in March 2023, without the code that came with its checkpoint."""

from transformers import AutoConfig, AutoModelForCausalLM

from worker.architectures.chatglm.configuration import ChatGLMConfig
from worker.architectures.chatglm.modelling import ChatGLMForConditionalGeneration


def register() -> None:
    """Make AutoConfig and AutoModelForCausalLM take a config.json of model_type "chatglm"."""
    AutoConfig.register(ChatGLMConfig.model_type, ChatGLMConfig, exist_ok=True)
    AutoModelForCausalLM.register(ChatGLMConfig, ChatGLMForConditionalGeneration, exist_ok=True)


__all__ = ["ChatGLMConfig", "ChatGLMForConditionalGeneration", "register"]
