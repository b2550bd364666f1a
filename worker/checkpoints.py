"""Loading a base, putting adapters on it and saving them, so that nothing is lost silently."""

import json
from collections.abc import Iterable
from copy import copy
from pathlib import Path
from typing import Any, cast

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    PeftModelForCausalLM,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.utils.constants import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from shared.errors import BadBase, InvalidSpec, UnsupportedAdapter
from shared.orders import BaseFiles
from worker.adapter_weights import first_line, misfit, read_adapter, require_a_match, some
from worker.architectures import tokenizer_of
from worker.quantisation import quantised
from worker.routing import route, routed

#: Beside an adapter's weights: its template, base, figures.
FACTS_NAME = "graft.json"
#: Weight files that run code when they are read.
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_PROBE_ROWS, _PROBE_LENGTH = 2, 24


def resolve_precision(precision: str, device: str) -> torch.dtype:
    """The arithmetic of "fp32", "bf16" or "auto" (bf16 on a GPU, fp32 on a CPU)."""
    if precision == "auto":
        precision = "bf16" if device.startswith("cuda") else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def load_base(base: BaseFiles, device: str, precision: str, bits: str = "full") -> tuple[Any, Any]:
    """A base, frozen and in eval mode, and its tokenizer; no remote code, no pickled weights.

    `bits`: "full", or "8" and "4" through bitsandbytes. Raises BadBase where it cannot be read,
    and where weights are missing that transformers would fill with random numbers; NoQuantisation.
    """
    _refuse_pickles(base)
    arithmetic = resolve_precision(precision, device)
    quantisation = quantised(bits, device, arithmetic)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            base.location,
            dtype=arithmetic,
            device_map={"": device} if quantisation or device.startswith("cuda") else None,
            **quantisation,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        tokenizer = tokenizer_of(base.location)
    except (OSError, ValueError, KeyError, AttributeError, ImportError, SafetensorError) as wrong:
        raise BadBase(location=base.location, problem=first_line(wrong)) from wrong
    except RuntimeError as wrong:
        if isinstance(wrong, torch.OutOfMemoryError):
            raise
        raise BadBase(location=base.location, problem=first_line(wrong)) from wrong
    model, found = loaded
    absent = sorted(found["missing_keys"]) + [name for name, *_ in found["mismatched_keys"]]
    if absent:
        problem = f"its files lack or misshape {len(absent)} weights ({some(absent)})"
        raise BadBase(location=base.location, problem=problem)
    if model.config.model_type == "rwkv":
        # In eval mode RWKV halves weights every few layers, for fp16's sake; an adapter's own
        # factors would stay as they are and count double.
        model.config.rescale_every = 0
    return model.eval().requires_grad_(False), tokenizer


def linear_targets(model: nn.Module, wanted: Iterable[str] = ()) -> list[str]:
    """Target modules for an adapter: `wanted`, or every linear module except the output head.

    Short names (q_proj) where they mean the same modules. Raises InvalidSpec for a wanted name
    that no linear module has.
    """
    head = cast(Any, model).get_output_embeddings()
    linear = {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear | Conv1D) and part is not head
    }
    short = {name.rsplit(".", 1)[-1] for name in linear}
    if unknown := [name for name in wanted if not any(_ends(full, name) for full in linear)]:
        problem = (
            f"the base has no linear module {some(unknown)}; it has {', '.join(sorted(short))}"
        )
        raise InvalidSpec(field="target_modules", problem=problem)
    if chosen := sorted(set(wanted)):
        return chosen
    others = [name for name, part in model.named_modules() if name not in linear and name]
    clash = any(_ends(other, name) for other in others for name in short)
    return sorted(linear if clash else short)


def attach_adapter(model: Any, folder: Path, *, name: str = "", slot: str = "default") -> PeftModel:
    """The model with a LoRA adapter folder on it, active; also beside others in a PeftModel.

    `name` is for messages, `slot` is PEFT's adapter name (without dots). Every weight of the
    folder must find its module and every adapted module its weight: raises NoOp where none
    does, UnsupportedAdapter where some do not or the folder cannot be read. The model is left as
    it was then. The adapter is to be used, not trained: none of its weights asks for a gradient.
    """
    name = name or folder.name
    config, weights = read_adapter(folder, name)
    bare = model.get_base_model() if isinstance(model, PeftModel) else model
    require_a_match(bare, weights, name)
    try:
        adapted = _inject(model, config, slot)
    except (ValueError, TypeError) as wrong:
        raise UnsupportedAdapter(adapter=name, problem=first_line(wrong)) from wrong
    expected = get_peft_model_state_dict(adapted, adapter_name=slot, save_embedding_layers=False)
    if problem := misfit(expected, weights):
        detach_adapter(adapted, slot)
        raise UnsupportedAdapter(adapter=name, problem=problem)
    set_peft_model_state_dict(adapted, weights, adapter_name=slot)
    if routed(folder):
        route(adapted, folder, slot, name)
    adapted.set_adapter(slot, inference_mode=True)
    return adapted.eval()


def detach_adapter(adapted: PeftModel, slot: str = "default") -> Any:
    """Take an adapter off; returns the bare base where it was the last one.

    Where the active one goes, the oldest of the others becomes active.
    """
    if others := [other for other in adapted.peft_config if other != slot]:
        if adapted.active_adapter == slot:
            adapted.set_adapter(others[0])
        adapted.delete_adapter(slot)
        return adapted
    return cast(Any, adapted).unload()


def save_adapter(adapted: PeftModel, folder: Path, base: str, slot: str = "default") -> None:
    """Write an adapter of PEFT's as a folder; `base` is the name it gives its base."""
    state = get_peft_model_state_dict(adapted, adapter_name=slot, save_embedding_layers=False)
    write_adapter(folder, adapted.peft_config[slot], state, base)


def write_adapter(folder: Path, config: PeftConfig, state: dict[str, Tensor], base: str) -> None:
    """Write an adapter folder in PEFT's format: its config, and its weights under PEFT's names.

    The same weights give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    # Not save_file: that makes the file unreadable for other users, who share the store.
    (folder / SAFETENSORS_WEIGHTS_NAME).write_bytes(save(weights, {"format": "pt"}))
    config = copy(config)
    config.base_model_name_or_path = base
    config.inference_mode = True
    plain = {key: _ordered(value) for key, value in config.to_dict().items()}
    _write_json(folder / CONFIG_NAME, plain)


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Put `graft.json` beside an adapter's weights: template, base and figures of its making."""
    _write_json(folder / FACTS_NAME, facts)


def probe_ids(model: Any) -> Tensor:
    """Fixed token ids (rows, tokens) spread over the vocabulary, the same in every process.

    The base's begin token stands in the middle: some bases find the end of a prompt by it.
    """
    vocabulary = model.get_input_embeddings().num_embeddings
    ids = (torch.arange(_PROBE_ROWS * _PROBE_LENGTH) * 7919 % vocabulary).view(_PROBE_ROWS, -1)
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    begin = getattr(base.config, "bos_token_id", None)
    if isinstance(begin, int) and begin < vocabulary:
        ids[:, _PROBE_LENGTH // 2] = begin
    return ids


def probe_logits(model: Any) -> Tensor:
    """Logits (rows, tokens, vocabulary), fp32 on the CPU, of the probe's token ids."""
    training = model.training
    model.eval()
    with torch.no_grad():
        ids = probe_ids(model).to(model.device)
        logits = model(input_ids=ids, use_cache=False).logits.float().cpu()
    model.train(training)
    return logits


def logit_change(adapted: Any) -> float:
    """Largest absolute change of the probe's logits by the active adapter; 0.0 is a NO-OP.

    `adapted` is PEFT's model or any other with `disable_adapter()`.
    """
    with adapted.disable_adapter():
        without = probe_logits(adapted)
    return float((probe_logits(adapted) - without).abs().max())


def _refuse_pickles(base: BaseFiles) -> None:
    folder = Path(base.location)
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    if pickles := sorted(path.name for kind in _PICKLES for path in folder.glob(kind)):
        problem = (
            f"{pickles[0]} is a pickle, which runs code when read; convert it to safetensors "
            "with `graft models convert FOLDER OUT`"
        )
        raise BadBase(location=base.location, problem=problem)


def _inject(model: Any, config: LoraConfig, slot: str) -> PeftModel:
    if isinstance(model, PeftModel):
        model.add_adapter(slot, config)
        return model
    return PeftModelForCausalLM(model, config, adapter_name=slot)


def _ends(full: str, name: str) -> bool:
    """PEFT's rule: a target names a module by its path or the path's end."""
    return full == name or full.endswith("." + name)


def _ordered(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else value


def _write_json(path: Path, data: dict[str, Any]) -> None:
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
