"""What an adapter's own settings may ask for, and why the rest is refused."""

from collections.abc import Collection, Mapping
from typing import Any

from shared.errors import Both, UnsupportedAdapter, both

#: Settings of `adapter_config.json` whose effect is more than s·B·A of linear modules.
REFUSED: Mapping[str, Both] = {
    "use_dora": both(
        "DoRA rescales the base's own columns, so its update needs the base's files",
        "DoRA 会缩放底座自身的列，换算其更新需要底座文件",
    ),
    "lora_bias": both("lora_bias adds trained biases", "lora_bias 另加了训练过的偏置"),
    "modules_to_save": both(
        "modules_to_save replaces whole modules of the base; say what becomes of them "
        "(saved_modules: average, or pick and saved_from)",
        "modules_to_save 替换了底座的整个模块；请说明如何处理"
        "（saved_modules：average，或 pick 加 saved_from）",
    ),
    "trainable_token_indices": both(
        "trainable_token_indices replaces rows of the embedding",
        "trainable_token_indices 替换了词嵌入的若干行",
    ),
    "target_parameters": both(
        "target_parameters adapts bare parameters, not modules",
        "target_parameters 适配的是裸参数而非模块",
    ),
    "layer_replication": both(
        "layer_replication changes the base's depth", "layer_replication 改变了底座的层数"
    ),
    "alora_invocation_tokens": both(
        "aLoRA acts only after its invocation tokens", "aLoRA 仅在其触发词元之后起作用"
    ),
    "use_qalora": both(
        "QA-LoRA pools the input before its factors", "QA-LoRA 在因子之前对输入做了池化"
    ),
    "use_bdlora": both("BD-LoRA stores block-diagonal factors", "BD-LoRA 保存的是分块对角因子"),
    "arrow_config": both(
        "Arrow routes between adapters at run time", "Arrow 在运行时于适配器之间路由"
    ),
    "kasa_config": both("KaSA changes the base's weights", "KaSA 改动了底座权重"),
    "monteclora_config": both("MonteCLoRA samples its factors", "MonteCLoRA 对因子做采样"),
}
#: Initialisations that leave the base as it is; others (PiSSA, OLoRA, LoftQ, ...) subtract their
#: start from the base's weights, so that B·A alone is not the update.
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")


def refuse_special(name: str, config: Mapping[str, Any], accepted: Collection[str]) -> None:
    """Raises UnsupportedAdapter with every reason, but for the settings in `accepted`."""
    reasons = [
        why for setting, why in REFUSED.items() if config.get(setting) and setting not in accepted
    ]
    if (bias := config.get("bias", "none")) != "none":
        reasons.append(
            both(f"bias={bias} trained biases of the base", f"bias={bias} 训练了底座的偏置")
        )
    start = config.get("init_lora_weights", True)
    if start not in _PLAIN_STARTS:
        reasons.append(
            both(
                f"init_lora_weights={start} changed the base's weights; convert it first",
                f"init_lora_weights={start} 改动了底座权重，请先转换",
            )
        )
    if reasons:
        problem = both(
            "; ".join(why["en"] for why in reasons), "；".join(why["zh"] for why in reasons)
        )
        raise UnsupportedAdapter(adapter=name, problem=problem)
