"""The benchmarks Graft writes itself are whole, bilingual, and register again without a change."""

from shared import db
from shared.benchmarks import InstructItem, read_benchmark
from shared.people.actors import Actor
from shared.starter.builtin import BUILTIN, ITEMS, add_builtin
from shared.storage import store


def test_every_set_registers_with_both_languages_and_again_changes_nothing(database):
    with db.writing() as session:
        added = add_builtin(session, BUILTIN, actor=Actor.admin("ann"))
        assert [each.name for each in added] == list(BUILTIN)
        assert all(each.languages == {"en": ITEMS, "zh": ITEMS} for each in added)
        again = add_builtin(session, BUILTIN, actor=Actor.admin("bob"))
    assert [each.sha256 for each in again] == [each.sha256 for each in added]
    assert {each.user for each in again} == {"ann"}
    found = {each.name: read_benchmark(store().open_path(each.uri)) for each in added}
    assert found["starter-instructions"].shape == "instruct"
    plain, told = found["starter-language"].items, found["starter-language-told"].items
    # The same tasks, one with the seed's remedy behind it.
    for one, other in zip(plain, told, strict=True):
        assert isinstance(one, InstructItem)
        assert isinstance(other, InstructItem)
        remedy = {"en": "\nAnswer me in English.", "zh": "\n用中文回答我。"}[one.lang]
        assert other.prompt == one.prompt + remedy
        assert one.checks[0].value == one.lang
