"""`graft knowledge`: a knowledge base from an empty one to a question's samples."""

import json
from typing import Any

from commands import Graft


def _json(graft: Graft, *words: str) -> Any:
    result = graft("knowledge", *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_knowledge_base_is_filled_edited_asked_and_told_apart_by_revision(stocked: Graft) -> None:
    assert stocked("knowledge", "new", "notes").exit_code == 0
    added = _json(stocked, "add", "notes", "--dataset", "colours")
    assert added == {"revision": 1, "added": 2, "known": 0}
    made = _json(stocked, "add", "notes", "--instruction", "Name a tree.", "--output", "Oak.")
    edited = stocked("knowledge", "edit", "notes", made["sample_id"], "--output", "Ash.")
    assert edited.stdout.strip() == f"{made['sample_id']}@3"
    (hit,) = _json(stocked, "query", "notes", "name a tree", "-k", "1")["hits"]
    assert hit["sample"]["output"] == "Ash."
    (old,) = _json(stocked, "query", "notes", "name a tree", "-k", "1", "--revision", "2")["hits"]
    assert old["sample"]["output"] == "Oak."
    guarded = stocked("knowledge", "query", "notes", "name a tree", "--guarded")
    assert "1 near copies left out" in guarded.stderr
    assert _json(stocked, "expire", "notes", made["sample_id"])["revision"] == 4
    assert [each["output"] for each in _json(stocked, "ls", "notes", "--text", "Ash")] == []
    assert [each["action"] for each in _json(stocked, "revisions", "notes")] == [
        "expire", "edit", "add", "import",
    ]  # fmt: skip
    (base,) = _json(stocked, "ls")
    assert (base["name"], base["revision"], base["samples"]) == ("notes", 4, 2)


def test_a_proposal_waits_for_approval(stocked: Graft) -> None:
    stocked("knowledge", "new", "notes")
    words = ("propose", "notes", "--instruction", "Name a fish.", "--output")
    first, second = (_json(stocked, *words, fish)["id"] for fish in ("Carp.", "Wolf."))
    assert [each["id"] for each in _json(stocked, "proposals", "notes")] == [first, second]
    assert stocked("knowledge", "approve", "notes", second, "--reject").exit_code == 0
    (approved,) = _json(stocked, "approve", "notes", first)
    (sample,) = _json(stocked, "ls", "notes")
    assert (sample["sample_id"], sample["source"]) == (approved["sample_id"], "feedback")


def test_what_is_missing_is_named_with_its_remedy(graft: Graft) -> None:
    unknown = graft("knowledge", "ls", "notes")
    assert unknown.exit_code == 4
    assert "graft knowledge new NAME" in unknown.stderr
    graft("knowledge", "new", "notes")
    assert "needs text in instruction" in graft("knowledge", "add", "notes").stderr
