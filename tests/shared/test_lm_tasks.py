"""lm-eval's filters and metrics as ours, and what a pool without the extra says."""

from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

from shared.answer_rules import AnswerRule, Find
from shared.errors import BadTask, NotInstalled
from shared.lm_tasks import load, taken

GSM8K = {
    "task": "sums",
    "generation_kwargs": {"until": ["Question:", "</s>"], "do_sample": False, "temperature": 0.0},
    "metric_list": [
        {"metric": "exact_match", "ignore_case": True, "ignore_punctuation": False,
         "regexes_to_ignore": [",", r"\$", r"(?s).*#### ", r"\.$"]},
    ],
    "filter_list": [
        {"name": "strict", "filter": [
            {"function": "regex", "regex_pattern": r"#### (\-?[0-9\.\,]+)"},
            {"function": "take_first"}]},
        {"name": "flexible", "filter": [
            {"function": "regex", "group_select": -1,
             "regex_pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)"}, {"function": "take_first"}]},
    ],
}  # fmt: skip


class ConfigurableTask:
    """What `taken` looks at of lm-eval's class of that name."""

    OUTPUT_TYPE = "generate_until"
    multiple_input = multiple_target = 0

    def __init__(self, config: dict[str, Any]) -> None:
        self.config: Any = SimpleNamespace(to_dict=lambda: config, doc_to_choice=None)
        document = {"goal": "Reasons. #### 1,234"}
        self.instances = [SimpleNamespace(doc_id=7, doc=document, args=("How many? ", {}))]

    def doc_to_target(self, document: dict[str, str]) -> str:
        return document["goal"]


def rule(which: str | None = None, **changed: Any) -> AnswerRule:
    [row] = taken(ConfigurableTask(GSM8K | changed), "sums", filter=which).rows
    return AnswerRule.model_validate(row["exact"])


def test_an_answer_is_read_by_the_chosen_filter_and_compared_as_lm_eval_does() -> None:
    strict, flexible = rule(), rule("flexible")
    said = "So 12 and $1,234 make it. #### 1,234"
    assert (strict.read(said), flexible.read(said)) == ("1,234", "1,234")
    assert strict.read("It is 1,234.") == "[invalid]"
    assert flexible.read("first 12, then $1,234.") == "$1,234."
    assert strict.same("1,234", "Reasons. #### 1,234")
    assert flexible.same("$1,234.", "Reasons. #### 1,234")
    assert not strict.same("1,235", "Reasons. #### 1,234")


def test_a_row_says_where_answers_end_and_that_its_prompt_stays() -> None:
    found = taken(ConfigurableTask(GSM8K), "sums")
    [row] = found.rows
    assert (row["id"], row["prompt"], row["verbatim"]) == ("7", "How many? ", True)
    assert (row["stop"], row["max_new_tokens"]) == (["Question:", "</s>"], 256)
    assert found.facts["filter"] == "strict"
    assert found.metrics == {"exact_match": "exact_match"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"filter_list": [{"name": "x", "filter": [{"function": "map", "mapping_dict": {}}]}]},
         "map (mapping_dict)"),
        ({"generation_kwargs": {"do_sample": True, "temperature": 0.6}}, "temperature: 0.6"),
        ({"generation_kwargs": {"num_beams": 4}}, "num_beams"),
        ({"process_results": print}, "process_results"),
        ({"metric_list": [{"metric": "bleu"}]}, "bleu"),
        ({"repeats": 2}, "repeats: 2"),
    ],
)  # fmt: skip
def test_what_graft_does_otherwise_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadTask) as refused:
        taken(ConfigurableTask(GSM8K | changed), "sums")
    assert said in refused.value.message("en")
    assert said in refused.value.message("zh")


def test_a_metric_that_is_left_out_is_noted() -> None:
    listed = [*GSM8K["metric_list"], {"metric": "bleu"}]
    found = taken(ConfigurableTask(GSM8K | {"metric_list": listed}), "sums")
    assert [note["en"] for note in found.notes] == ["not computed: bleu"]


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        Find(regex="(")


@pytest.mark.skipif(find_spec("lm_eval") is not None, reason="the extra is installed")
def test_without_the_extra_the_command_to_install_it_is_said() -> None:
    with pytest.raises(NotInstalled, match=r"pip install .*\[lm-eval\]"):
        load("hellaswag")
