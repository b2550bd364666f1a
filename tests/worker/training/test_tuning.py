"""Every kind of adapter is trained, published in PEFT's format, and is what its paper says."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func
from peft import PeftModelForCausalLM
from safetensors.torch import load_file
from torch._dynamo.backends.common import aot_autograd
from transformers import (
    AutoModelForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    RwkvConfig,
    RwkvForCausalLM,
)

from orders_of import ROWS, order_for
from shared.errors import InvalidSpec, NoQuantisation, RankTooLarge
from shared.specs import TrainingSpec, parse_spec
from tiny_bases import make_tokenizer
from tiny_chatglm import make_chatglm
from worker import quantisation
from worker.checkpoints import probe_logits
from worker.reporting import Silent
from worker.training import train
from worker.training.adapted import Adapted
from worker.training.adapter import fresh_adapter
from worker.training.batches import pack
from worker.training.compiling import compiled
from worker.training.examples import Example
from worker.training.learner import Learner
from worker.training.prefix import Prefixed

EXAMPLES = [
    Example.answering(tuple(range(10, 31)), 8),
    Example.answering(tuple(range(40, 47)), 3),
]
KINDS: dict[str, dict[str, Any]] = {
    "dora": {"tuning": "dora", "dropout": 0.1},
    "rslora": {"scaling": "root"},
    "lora+": {"lora_plus": 16.0},
    "pissa": {"start": "pissa"},
    "pissa, rslora": {"start": "pissa", "scaling": "root"},
    "prefix": {"tuning": "prefix", "virtual_tokens": 5, "learning_rate": 0.3},
    "with its head": {"also_train": "head"},
    "with embeddings": {"also_train": "embeddings", "tuning": "dora"},
    "with both": {"also_train": "both", "start": "pissa"},
}


@pytest.mark.parametrize(
    ("kind", "base"),
    [*((kind, "tiny_llama") for kind in KINDS), ("dora", "tiny_glm"), ("prefix", "tiny_glm")],
)
def test_it_learns_and_plain_peft_loads_it_onto_the_unchanged_base(
    kind: str, base: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(base)
    values = {"max_steps": 10, "learning_rate": 0.01} | KINDS[kind]
    report = Silent()
    made = train(order_for(folder, tmp_path, **values), report)
    losses = [step["loss"] for _, step in report.steps]
    assert losses[-1] < 0.96 * losses[0]
    bare: Any = AutoModelForCausalLM.from_pretrained(folder)
    without = probe_logits(bare)
    loaded = PeftModelForCausalLM.from_pretrained(bare, str(made.folder))
    change = (probe_logits(loaded) - without).abs().max()
    assert float(change) == pytest.approx(made.facts["logit_change"], rel=1e-3)


def test_pissa_begins_with_the_principal_directions_and_moves_nothing(tiny_llama: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    without = probe_logits(model)
    weight = model.model.layers[0].self_attn.q_proj.weight.detach().clone()
    adapted = fresh_adapter(model, spec(start="pissa", rank=4), "b")
    assert isinstance(adapted, Adapted)
    layer = adapted.layers["model.layers.0.self_attn.q_proj"]
    update = layer.scale * layer.b[0].T @ layer.a[0]
    u, s, vh = torch.linalg.svd(weight)
    torch.testing.assert_close(update, u[:, :4] * s[:4] @ vh[:4], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(probe_logits(adapted), without, rtol=1e-4, atol=1e-5)
    assert (adapted.config.r, adapted.config.lora_alpha) == (8, 32.0)


def test_what_is_trained_in_full_moves_is_published_and_leaves_the_base_alone(
    tiny_llama: Path, tmp_path: Path
) -> None:
    made = train(order_for(tiny_llama, tmp_path, also_train="both", max_steps=4), Silent())
    weights = load_file(made.folder / "adapter_model.safetensors")
    config = json.loads((made.folder / "adapter_config.json").read_text())
    assert sorted(config["modules_to_save"]) == ["lm_head", "model.embed_tokens"]
    base: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    for name in config["modules_to_save"]:
        saved = weights[f"base_model.model.{name}.weight"]
        assert not torch.equal(saved, base.get_submodule(name).weight)


def test_an_embedding_that_does_more_than_look_up_is_not_trained_in_full(tmp_path: Path) -> None:
    config = Gemma3TextConfig(
        vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16,
    )  # fmt: skip
    model = Gemma3ForCausalLM(config)
    with pytest.raises(InvalidSpec, match=r"also_train: .*ScaledWordEmbedding"):
        fresh_adapter(model, spec(also_train="embeddings"), "b")


def test_pissa_needs_room_for_twice_the_rank(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(RankTooLarge, match="Rank 34"):
        train(order_for(tiny_llama, tmp_path, rank=17, start="pissa"), Silent())


def test_lora_plus_gives_b_its_own_rate(tiny_llama: Path, tmp_path: Path) -> None:
    """Adam's first step is the learning rate in every entry: B moves 16 times as far as A."""
    values = {"max_steps": 2, "warmup_ratio": 0, "schedule": "constant", "learning_rate": 1e-4}
    moved = {}
    for ratio in (1.0, 16.0):
        made = train(
            order_for(tiny_llama, tmp_path / str(ratio), lora_plus=ratio, **values), Silent()
        )
        weights = load_file(made.folder / "adapter_model.safetensors")
        moved[ratio] = max(value.abs().max() for key, value in weights.items() if "lora_B" in key)
    assert float(moved[16.0] / moved[1.0]) == pytest.approx(16, rel=0.05)


def test_a_packed_prefix_is_pefts_row_by_row(tiny_llama: Path, tmp_path: Path) -> None:
    made = train(
        order_for(tiny_llama, tmp_path, tuning="prefix", virtual_tokens=5, max_steps=3), Silent()
    )
    prefixed = Prefixed(AutoModelForCausalLM.from_pretrained(tiny_llama), 5, 0)
    saved = load_file(made.folder / "adapter_model.safetensors")["prompt_embeddings"]
    with torch.no_grad():
        prefixed.embeddings.copy_(saved)
    learner = Learner.of(prefixed, longest=21)
    assert learner.packs
    found = learner.losses(pack(EXAMPLES, "cpu")).split([each.labels for each in EXAMPLES])
    bare: Any = AutoModelForCausalLM.from_pretrained(tiny_llama)
    theirs = PeftModelForCausalLM.from_pretrained(bare, str(made.folder))
    for losses, example in zip(found, EXAMPLES, strict=True):
        labels = torch.tensor([[-100] * example.answer + list(example.ids[example.answer :])])
        wanted = theirs(input_ids=torch.tensor([example.ids]), labels=labels).loss
        torch.testing.assert_close(losses.mean(), wanted, rtol=1e-5, atol=1e-5)
    config = json.loads((made.folder / "adapter_config.json").read_text())
    assert (config["peft_type"], config["num_virtual_tokens"]) == ("PREFIX_TUNING", 5)


def test_a_prefix_learns_the_same_packed_and_padded(tiny_llama: Path, tmp_path: Path) -> None:
    """Packed rows meet it in the attention, padded ones as a cache."""
    values = {"tuning": "prefix", "virtual_tokens": 5, "learning_rate": 0.05, "max_steps": 5}
    losses = {}
    for packing, said in ((True, "rows lie end to end"), (False, "are padded together")):
        report = Silent()
        folder = tmp_path / str(packing)
        train(order_for(tiny_llama, folder, packing=packing, **values), report)
        assert any(said in line for line in report.lines)
        losses[packing] = [step["loss"] for _, step in report.steps]
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)


class Counting(Silent):
    """After each step, how many pieces of code the compiler had made by then."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.by_step: list[int] = []

    def metrics(self, step: int, values: dict[str, float]) -> None:
        super().metrics(step, values)
        self.by_step.append(self.made)


# The tracer looks at things in ways that torch itself warns of.
@pytest.mark.filterwarnings("ignore")
def test_compiled_layers_learn_the_same_and_are_as_before_afterwards(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced and differentiated by the compiler; the machine code itself would take minutes."""
    compile_, report = torch.compile, Counting()

    def without_machine_code(function: Any, **options: Any) -> Any:
        def keep(graph: torch.fx.GraphModule, _: Any) -> Any:
            report.made += 1
            return make_boxed_func(graph.forward)

        return compile_(function, backend=aot_autograd(fw_compiler=keep), **options)

    monkeypatch.setattr(torch, "compile", without_machine_code)
    values = {"max_steps": 4, "batch_size": 4}
    plain = Silent()
    train(order_for(tiny_llama, tmp_path / "plain", **values), plain)
    train(order_for(tiny_llama, tmp_path / "compiled", compiled=True, **values), report)
    losses = [[step["loss"] for _, step in each.steps] for each in (report, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    # Rows of other lengths in later steps are no reason to compile anew.
    assert report.by_step[0] > 0
    assert report.by_step == report.by_step[:1] * 4
    layer = torch.nn.Linear(2, 2)
    with compiled(Stack(layer)):
        assert "forward" in vars(layer)
    assert "forward" not in vars(layer)


class Stack(torch.nn.Module):
    """What a base is to the compiler: a decoder with a list of layers."""

    base_model_prefix = "model"

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.model = torch.nn.Module()
        self.model.layers = torch.nn.ModuleList([layer])


def test_a_base_whose_attention_is_its_own_gets_the_prefix_as_a_cache(tmp_path: Path) -> None:
    folder = make_chatglm(tmp_path / "base")
    values = {"tuning": "prefix", "virtual_tokens": 5, "learning_rate": 0.1, "max_steps": 10}
    values |= {"batch_size": len(ROWS)}
    report = Silent()
    made = train(order_for(folder, tmp_path, template="chatglm", **values), report)
    losses = [step["loss"] for _, step in report.steps]
    assert losses[-1] < losses[0]
    assert made.facts["logit_change"] > 0
    assert "info: rows lie end to end, without padding" in report.lines


def test_a_prefix_is_refused_where_there_is_no_attention(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(320)
    folder = tmp_path / "rwkv"
    config = RwkvConfig(
        vocab_size=len(tokenizer), hidden_size=32, attention_hidden_size=32, num_hidden_layers=2,
        context_length=256, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    RwkvForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with pytest.raises(InvalidSpec, match=r"tuning: .*cannot be given keys and values"):
        train(order_for(folder, tmp_path, tuning="prefix"), Silent())


@pytest.mark.parametrize(
    ("bits", "reason"),
    [("8", "8 bits on this host: bitsandbytes is not installed"), ("4", "learn on CUDA only")],
)
def test_a_quantised_base_is_refused_with_the_reason_where_it_cannot_be(
    bits: str, reason: str, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantisation, "find_spec", lambda name: None)
    with pytest.raises(NoQuantisation, match=reason) as refused:
        train(order_for(tiny_llama, tmp_path, base_bits=bits), Silent())
    assert "base_bits" in refused.value.message("zh")


def test_an_installed_library_that_cannot_start_is_named_with_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cannot(name: str) -> None:
        raise OSError(f"{name}: libcudart.so.13 not found")

    monkeypatch.setattr(quantisation, "find_spec", lambda name: name)
    monkeypatch.setattr(quantisation, "import_module", cannot)
    with pytest.raises(NoQuantisation, match=r"cannot start \(bitsandbytes: libcudart"):
        quantisation.quantised("8", "cuda:0", torch.bfloat16)


def spec(**values: Any) -> TrainingSpec:
    return TrainingSpec.model_validate({"name": "a", "base_model": "b", "dataset": "d"} | values)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"tuning": "dora", "start": "pissa"}, "start: pissa starts lora only"),
        ({"tuning": "prefix", "lora_plus": 16}, "lora_plus: a prefix has no B"),
        ({"tuning": "prefix", "compiled": True}, "compiled: layers with a prefix"),
        ({"base_bits": "4", "also_train": "head"}, "base_bits: a base in 8 or 4 bits takes plain"),
        ({"base_bits": "8", "start": "pissa"}, "base_bits: a base in 8 or 4 bits takes plain"),
        ({"base_bits": "fp8", "tuning": "dora"}, "base_bits: a base in 8 or 4 bits takes plain"),
        ({"base_bits": "fp8", "precision": "fp32"}, "base_bits: fp8 goes with bf16"),
        ({"tuning": "prefix", "also_train": "head"}, "also_train: a prefix is trained alone"),
    ],
)
def test_kinds_that_do_not_go_together_are_refused_at_submission(
    values: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidSpec, match=reason):
        parse_spec({"kind": "train", "name": "a", "base_model": "b", "dataset": "d"} | values)
