"""What is wrong with a field of a spec, in the reader's language instead of pydantic's."""

from collections.abc import Mapping
from typing import Any

from shared.errors import Both, both

#: Pydantic's error types, with the fields of their context.
_WORDS: Mapping[str, tuple[str, str]] = {
    "missing": ("it is missing", "缺少该项"),
    "extra_forbidden": ("there is no such field", "没有这一项"),
    "greater_than": ("it must be above {gt}", "须大于 {gt}"),
    "greater_than_equal": ("it must be at least {ge}", "须不小于 {ge}"),
    "less_than": ("it must be below {lt}", "须小于 {lt}"),
    "less_than_equal": ("it must be at most {le}", "须不大于 {le}"),
    "int_type": ("it must be a whole number", "须为整数"),
    "int_parsing": ("it must be a whole number", "须为整数"),
    "int_from_float": ("it must be a whole number", "须为整数"),
    "float_type": ("it must be a number", "须为数字"),
    "float_parsing": ("it must be a number", "须为数字"),
    "finite_number": ("it must be a finite number", "须为有限的数"),
    "bool_type": ("it must be true or false", "须为 true 或 false"),
    "bool_parsing": ("it must be true or false", "须为 true 或 false"),
    "string_type": ("it must be text", "须为文本"),
    "string_pattern_mismatch": (
        "it must start with a letter or digit, then up to 63 letters, digits, dots, dashes or "
        "underscores",
        "须以字母或数字开头，其后最多 63 个字母、数字、点、横线或下划线",
    ),
    "pissa_is_for_lora": ("pissa starts lora only", "pissa 只能用于 lora"),
    "prefix_has_no_b": (
        "a prefix has no B whose learning rate could differ",
        "前缀没有 B，无法另设其学习率",
    ),
    "prefix_alone": (
        "a prefix is trained alone, without embeddings or head",
        "前缀单独训练，不能同时训练词嵌入或输出头",
    ),
    "full_alone": (
        "full trains every weight already; leave this at its default",
        "full 已训练全部权重；请保留默认值",
    ),
    "only_lora_has": (
        "target_modules and dropout belong to lora and dora; leave them at their defaults",
        "target_modules 与 dropout 只用于 lora 和 dora；请保留默认值",
    ),
    "quantised_takes_lora": (
        "a base in 8 or 4 bits takes plain lora (tuning lora, start zero, also_train none)",
        "8 位或 4 位底座只支持普通 lora（tuning lora、start zero、also_train none）",
    ),
    "spread_takes_lora": (
        "only lora and prefix, start zero, on a base without base_bits are spread",
        "只有 lora 与 prefix（start zero、不设 base_bits）可以分散底座",
    ),
    "spread_not_compiled": ("spread layers are not compiled", "分散的层不能编译"),
    "fp8_takes_bf16": (
        "fp8 goes with bf16; set precision to bf16 or auto",
        "fp8 须与 bf16 同用；请将 precision 设为 bf16 或 auto",
    ),
    "prefix_not_compiled": ("layers with a prefix are not compiled", "带前缀的层不能编译"),
    "list_type": ("it must be a list", "须为列表"),
    "dict_type": ("it must be an object", "须为对象"),
    "model_attributes_type": ("it must be an object", "须为对象"),
    "literal_error": ("it must be {expected}", "须为 {expected}"),
    "union_tag_invalid": ("it must be one of {expected_tags}", "须为 {expected_tags} 之一"),
    "union_tag_not_found": ("it does not say which {discriminator}", "没有写明 {discriminator}"),
    "too_short": ("it needs at least {min_length}", "至少需要 {min_length} 个"),
    "too_long": ("it may have at most {max_length}", "最多 {max_length} 个"),
}


def in_words(wrong: Mapping[str, Any]) -> Both:
    """One entry of `ValidationError.errors()` as a clause in both languages.

    A type without words here (a validator of our own raises ValueError) keeps pydantic's sentence.
    """
    english, chinese = _WORDS.get(wrong["type"], (wrong["msg"], wrong["msg"]))
    context = {key: str(value) for key, value in wrong.get("ctx", {}).items()}
    if wrong["type"] in _WORDS:
        english, chinese = english.format(**context), chinese.format(**_in_chinese(context))
    if wrong["type"] != "missing" and not isinstance(wrong["input"], dict):
        given = repr(wrong["input"])
        english, chinese = f"{english} (given: {given})", f"{chinese}（给出的是 {given}）"
    return both(english, chinese)


def _in_chinese(context: Mapping[str, str]) -> dict[str, str]:
    return {key: text.replace(" or ", " 或 ") for key, text in context.items()}
