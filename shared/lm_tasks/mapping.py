"""A task of lm-eval as rows of a benchmark file; what would be scored otherwise is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.answer_rules import AnswerRule, Find, Plain
from shared.errors import BadTask, Both, both
from shared.templates import language_of

#: By output type, lm-eval's metrics and ours that says the same.
_METRICS = {
    "multiple_choice": {
        "acc": "accuracy", "acc_norm": "accuracy_bytes", "acc_bytes": "accuracy_bytes",
    },
    "loglikelihood_rolling": {
        "bits_per_byte": "bits_per_byte", "byte_perplexity": "bits_per_byte",
        "word_perplexity": "bits_per_byte",
    },
    "generate_until": {"exact_match": "exact_match"},
}  # fmt: skip
_STEPS: dict[str, Plain | None] = {
    "take_first": None, "remove_whitespace": "strip", "lowercase": "lower", "uppercase": "upper",
}  # fmt: skip
_MATCHING = {"ignore_case": "case", "ignore_punctuation": "punctuation", "ignore_numbers": "digits"}
#: What a greedy generation may be asked with.
_GREEDY = {"until", "do_sample", "temperature", "max_gen_toks", "max_new_tokens", "max_tokens"}


@dataclass(frozen=True)
class Taken:
    """A task as rows, under which metrics its scores are found, and what a reader should know."""

    rows: list[dict[str, Any]]
    #: {lm-eval's metric: ours}
    metrics: dict[str, str]
    notes: list[Both]
    #: Where the rows come from: task, its version, shots, filter.
    facts: dict[str, Any]


def taken(task: Any, name: str, *, lang: str | None = None, filter: str | None = None) -> Taken:
    """The rows of a task that `load` returned.

    `lang` states the language of all items; else each item's text is looked at. `filter` names one
    of the task's filters, the first without. Raises BadTask for whatever would be scored otherwise
    than lm-eval does.
    """
    config = task.config.to_dict()
    kind = str(task.OUTPUT_TYPE)
    _require_mappable(task, config, kind, name)
    metrics, notes = _metrics(config, kind, name)
    facts: dict[str, Any] = {
        "task": config.get("task") or name, "shots": config.get("num_fewshot") or 0,
        "version": (config.get("metadata") or {}).get("version"), "metrics": metrics,
    }  # fmt: skip
    common: dict[str, Any] = {}
    if kind == "generate_until":
        chosen, rule = _rule(config, name, filter)
        common = {"exact": rule.model_dump(mode="json")} | _generation(config, name)
        facts["filter"] = chosen
    by_document: dict[int, list[Any]] = {}
    for instance in task.instances:
        by_document.setdefault(instance.doc_id, []).append(instance)
    rows = [
        {"id": str(number)} | _row(task, kind, instances, name, lang) | common
        for number, instances in by_document.items()
    ]
    return Taken(rows, metrics, notes, facts)


def _row(
    task: Any, kind: str, instances: Sequence[Any], name: str, lang: str | None
) -> dict[str, Any]:
    first, document = instances[0], instances[0].doc
    if kind == "loglikelihood_rolling":
        text = first.args[0]
        return {"lang": lang or language_of(text), "context": "", "continuation": text}
    prompt = first.args[0]
    row = {"lang": lang or language_of(prompt), "prompt": prompt, "verbatim": True}
    if kind == "generate_until":
        return row | {"references": _references(task, document)}
    choices = task.doc_to_choice(document)
    texts = [instance.args[1] for instance in instances[: len(choices)]]
    gold = task.doc_to_target(document)
    place = choices.index(gold) if isinstance(gold, str) and gold in choices else gold
    if not isinstance(place, int) or not 0 <= place < len(choices):
        raise _refused(
            name,
            f"document {first.doc_id}: its answer {gold!r} is none of its choices",
            f"第 {first.doc_id} 条的答案 {gold!r} 不在选项之中",
        )
    return row | {"choices": texts, "answer": place}


def _references(task: Any, document: Any) -> list[str]:
    gold = task.doc_to_target(document)
    if task.config.doc_to_choice is not None:
        gold = task.doc_to_choice(document)[gold]
    return [str(each) for each in (gold if isinstance(gold, list | tuple) else [gold])]


def _require_mappable(task: Any, config: Mapping[str, Any], kind: str, name: str) -> None:
    """Raises BadTask for a task that is asked or scored in a way of its own."""
    own = [
        key for key in ("process_results", "doc_to_image", "doc_to_audio", "unsafe_code")
        if config.get(key)
    ]  # fmt: skip
    if type(task).__name__ != "ConfigurableTask":
        own.append(f"class {type(task).__name__}")
    if kind not in _METRICS:
        own.append(f"output_type: {kind}")
    if getattr(task, "multiple_input", 0):
        own.append("doc_to_text: several contexts")
    if getattr(task, "multiple_target", 0) and kind == "multiple_choice":
        own.append("doc_to_target: several right choices")
    if int(config.get("repeats") or 1) > 1:
        own.append(f"repeats: {config['repeats']}")
    if own:
        listed = ", ".join(own)
        raise _refused(name, f"Graft does not score {listed}", f"Graft 不支持 {listed}")


def _metrics(config: Mapping[str, Any], kind: str, name: str) -> tuple[dict[str, str], list[Both]]:
    """The metrics that Graft has too, and a note on the others."""
    listed = [each["metric"] for each in config.get("metric_list") or []]
    names = [each if isinstance(each, str) else getattr(each, "__name__", "?") for each in listed]
    known = _METRICS[kind]
    found = {each: known[each] for each in names if each in known} if names else dict(known)
    others = ", ".join(each for each in names if each not in known)
    if not found:
        raise _refused(
            name, f"Graft has none of its metrics: {others}", f"Graft 没有其指标：{others}"
        )
    notes = []
    if others:
        notes.append(both(f"not computed: {others}", f"不计算：{others}"))
    if "acc_norm" in found:
        notes.append(
            both(
                "acc_norm is found as accuracy_bytes: by bytes, where lm-eval counts characters "
                "(the same in ASCII)",
                "acc_norm 对应 accuracy_bytes：按字节归一，lm-eval 按字符（ASCII 下相同）",
            )
        )
    return found, notes


def _generation(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Stop strings and longest answer of a greedy generation. Raises BadTask for sampling."""
    how = dict(config.get("generation_kwargs") or {})
    strange = sorted(how.keys() - _GREEDY)
    if how.get("do_sample") and float(how.get("temperature") or 0) > 0:
        strange.append(f"do_sample: {how['do_sample']}, temperature: {how['temperature']}")
    if strange:
        listed = ", ".join(strange)
        raise _refused(
            name,
            f"answers are always the likeliest ones here, without {listed}",
            f"此处的回答始终取最可能的词元，不支持 {listed}",
        )
    until = how.get("until") or []
    longest = [how[key] for key in ("max_gen_toks", "max_new_tokens", "max_tokens") if key in how]
    return {
        "stop": [each for each in ([until] if isinstance(until, str) else until) if each],
        "max_new_tokens": int(longest[0]) if longest else 256,
    }


def _rule(config: Mapping[str, Any], name: str, wanted: str | None) -> tuple[str, AnswerRule]:
    """The chosen filter's name, and filter and exact_match as a rule of ours."""
    filters = {each["name"]: each["filter"] for each in config.get("filter_list") or []}
    chosen = wanted or next(iter(filters), "none")
    if wanted and wanted not in filters:
        known = ", ".join(filters) or "-"
        raise _refused(
            name,
            f"it has no filter {wanted}; known: {known}",
            f"没有过滤器 {wanted}；已有：{known}",
        )
    steps: list[Find | Plain] = [
        step for each in filters.get(chosen, []) if (step := _step(each, name)) is not None
    ]
    metric = next(
        (each for each in config.get("metric_list") or [] if each["metric"] == "exact_match"), {}
    )
    return chosen, AnswerRule(
        steps=steps,
        ignore=list(metric.get("regexes_to_ignore") or []),
        **{ours: not metric.get(theirs, False) for theirs, ours in _MATCHING.items()},
    )


def _step(function: Mapping[str, Any], name: str) -> Find | Plain | None:
    kind = function["function"]
    if kind in _STEPS and len(function) == 1:
        return _STEPS[kind]
    known = {"function", "regex_pattern", "group_select", "fallback"}
    if kind == "regex" and function.keys() <= known:
        return Find(
            regex=function.get("regex_pattern", r"#### (\-?[0-9\.\,]+)"),
            match=function.get("group_select", 0),
            otherwise=function.get("fallback", "[invalid]"),
        )
    words = ", ".join(sorted(function.keys() - {"function"}))
    shown = f"{kind} ({words})" if words else str(kind)
    raise _refused(name, f"Graft has no filter {shown}", f"Graft 没有过滤器 {shown}")


def _refused(name: str, en: str, zh: str) -> BadTask:
    return BadTask(task=name, problem=both(en, zh))
