"""A base that keeps one state (RWKV) answers each arm in a batch of its own."""

from pathlib import Path

import torch

from benchmarks.families.bases import make_base
from orders_of import base_files
from shared.orders import AdapterFiles
from tiny_bases import write_adapter
from worker.chat.speaking import Line, grouped, speak
from worker.checkpoints import linear_targets, load_base
from worker.evaluation.arms import Arms
from worker.evaluation.decoding import Decoding, decode

PROMPTS = [[0, 40, 41, 42], [0, 50], [0, 60, 61]]
ENDS = frozenset({1})


def test_every_line_is_answered_as_it_would_be_alone(tmp_path: Path) -> None:
    folder = make_base("RwkvForCausalLM", tmp_path / "base")
    base = base_files(folder)
    model, tokenizer = load_base(base, "cpu", "fp32")
    own = write_adapter(folder, tmp_path / "own", scale=0.3, targets=linear_targets(model))
    arms = Arms(model, tokenizer, [AdapterFiles(name="own", folder=own, base=base)])
    lines = [Line(name, ids) for name, ids in zip(("base", "own", "base"), PROMPTS, strict=True)]
    assert [group.places for group in grouped(arms, lines)] == [[0], [1], [2]]
    *_, last = speak(arms, lines, Decoding(ends=ENDS, max_new_tokens=6, batch_tokens=1))
    for line, (answer, over) in zip(lines, last, strict=True):
        with arms.switched_to(line.model) as (switched, _), torch.inference_mode():
            alone = decode(switched, [line.prompt], ends=ENDS, max_new_tokens=6, batch_tokens=64)
        assert over
        assert answer.tokens == alone[0].tokens
    assert last[0][0].tokens != last[1][0].tokens
