"""Output error of the exact weighted sum and of PEFT's `add_weighted_adapter`, case by case.

`python -m benchmarks.fusion_correctness [--json]`. Two random adapters of a small random base, with
weights 0.7 and 0.3; the reference is the base with both dense updates added to its weights, as
PEFT's own `merge_and_unload` of each adapter alone gives them. Error: ‖logits - reference‖ over
‖reference - base‖, so 1 is as wrong as no adapter at all.
"""

import argparse
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    GlmConfig,
    GlmForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
)

from benchmarks.report import result, show
from shared.orders import AdapterFiles, BaseFiles, WorkOrder
from shared.specs import FusionSpec, WeightedSum
from worker.fusion import fuse
from worker.reporting import Silent

WEIGHTS = [0.7, 0.3]
SHAPE: dict[str, Any] = {
    "vocab_size": 200, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 64, "initializer_range": 0.1,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
BASES: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=4)),
    "llama, GQA 4:1": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=1)),
    "phi3, fused QKV": lambda: Phi3ForCausalLM(Phi3Config(**SHAPE, num_key_value_heads=2)),
    "glm, fused gate and up": lambda: GlmForCausalLM(
        GlmConfig(**SHAPE, num_key_value_heads=2, head_dim=16, attention_bias=True)
    ),
}
Q_V = ["q_proj", "v_proj"]
FUSED: dict[str, Any] = {"target_modules": ["qkv_proj", "gate_up_proj"]}
GATE_UP: dict[str, Any] = {"target_modules": ["gate_up_proj"]}
QKV: dict[str, Any] = {"target_modules": ["q_proj", "k_proj", "v_proj"]}
#: Case: base, and how the two adapters differ from a LoRA of rank 8 on q_proj and v_proj.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("llama", {}, {}),
    "rsLoRA": ("llama", {"use_rslora": True}, {"use_rslora": True}),
    "rsLoRA with plain": ("llama", {"use_rslora": True}, {}),
    "mixed ranks": ("llama", {"r": 4}, {"r": 12}),
    "rank and alpha patterns": (
        "llama", {"rank_pattern": {"q_proj": 3}, "alpha_pattern": {"v_proj": 40}}, {},
    ),
    "other modules": ("llama", {"target_modules": ["q_proj"]}, {"target_modules": ["v_proj"]}),
    "DoRA": ("llama", {"use_dora": True}, {"use_dora": True}),
    "lora_bias": (
        "glm, fused gate and up", {"lora_bias": True}, {"lora_bias": True},
    ),
    "fused QKV": ("phi3, fused QKV", FUSED, FUSED),
    "fused gate and up": ("glm, fused gate and up", GATE_UP, GATE_UP),
    "GQA": ("llama, GQA 4:1", QKV, QKV),
}  # fmt: skip
KINDS = ("svd", "cat", "linear")


def random_adapter(base: Path, folder: Path, seed: int, **how: Any) -> None:
    """An adapter folder as PEFT writes it, every trained tensor of it random."""
    config = LoraConfig(
        **{"r": 8, "lora_alpha": 16, "target_modules": Q_V, "task_type": TaskType.CAUSAL_LM, **how}
    )
    model = get_peft_model(load(base), config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "magnitude" in name:
                value *= 1 + 0.1 * torch.randn(value.shape, generator=generator)
            elif "lora_" in name:
                value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    model.save_pretrained(str(folder), save_embedding_layers=False)


def load(base: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()


def logits(model: Any) -> Tensor:
    """fp64 logits of fixed token ids."""
    ids = torch.arange(96).reshape(4, 24) * 37 % 200
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits.double()


def reference(base: Path, adapters: list[Path]) -> Any:
    """The base with the dense updates of the adapters added, each as PEFT merges it alone."""
    bare = load(base).state_dict()
    total = {name: value.double() for name, value in bare.items()}
    for adapter, weight in zip(adapters, WEIGHTS, strict=True):
        alone = cast(Any, PeftModel.from_pretrained(load(base), str(adapter))).merge_and_unload()
        for name, value in alone.state_dict().items():
            total[name] += weight * (value.double() - bare[name].double())
    model = load(base).double()
    model.load_state_dict(total)
    return model


def ours(base: Path, adapters: list[Path], folder: Path) -> Any:
    """The base with the engine's fusion on it, loaded by plain PEFT."""
    files = BaseFiles(name="base", location=str(base), fingerprint="base")
    names = [adapter.name for adapter in adapters]
    order = WorkOrder(
        job_id="benchmark", epoch=0, base=files, folder=folder,
        spec=FusionSpec(name="fused", adapters=names, params=WeightedSum(weights=WEIGHTS)),
        adapters=[AdapterFiles(name=path.name, folder=path, base=files) for path in adapters],
    )  # fmt: skip
    return PeftModel.from_pretrained(load(base), str(fuse(order, Silent()).folder))


def theirs(base: Path, adapters: list[Path], kind: str) -> Any:
    """The base with PEFT's own combination on it, at full rank where PEFT lets one say so."""
    model = PeftModel.from_pretrained(load(base), str(adapters[0]), adapter_name="a")
    model.load_adapter(str(adapters[1]), adapter_name="b")
    options = {"svd_rank": 16} if kind == "svd" else {}
    merge = cast(Any, model.base_model).add_weighted_adapter
    merge(["a", "b"], WEIGHTS, "merged", combination_type=kind, **options)
    model.set_adapter("merged")
    return model


def measure(case: str, folder: Path) -> dict[str, Any]:
    """One row: ours, and each way of PEFT's, its error or why it refuses."""
    kind, *hows = CASES[case]
    base = folder / "base"
    torch.manual_seed(0)
    BASES[kind]().save_pretrained(base)
    adapters = [folder / "a", folder / "b"]
    for seed, (adapter, how) in enumerate(zip(adapters, hows, strict=True)):
        random_adapter(base, adapter, seed, **how)
    wanted, bare = logits(reference(base, adapters)), logits(load(base))

    def error(make: Callable[[], Any]) -> float | str:
        try:
            return float((logits(make()) - wanted).norm() / (wanted - bare).norm())
        except (ValueError, RuntimeError, TypeError, KeyError) as refused:
            return type(refused).__name__

    row: dict[str, Any] = {
        "case": case,
        "base": kind,
        "ours": error(lambda: ours(base, adapters, folder)),
    }
    for way in KINDS:
        row[f"PEFT {way}"] = error(lambda way=way: theirs(base, adapters, way))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    # PEFT says of lora_bias tensors that they look like unfinished shards.
    warnings.filterwarnings("ignore", module="peft")
    rows: list[dict[str, Any]] = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(case, Path(folder)))
    show("output error of a weighted sum", rows, as_json=options.json)
    best = {row["case"]: min(_numbers(row), default=float("inf")) for row in rows}
    result(
        ours_worst=max(row["ours"] for row in rows),
        peft_best_worst=max(best.values()),
        peft_wrong=sum(value > 1e-3 for value in best.values()),
        cases=len(rows),
    )


def _numbers(row: dict[str, Any]) -> list[float]:
    values = (row[f"PEFT {way}"] for way in KINDS)
    return [value for value in values if isinstance(value, float)]


if __name__ == "__main__":
    main()
