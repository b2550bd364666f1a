"""A change told in another vocabulary: exact where tokens agree, summed where they do not."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from worker.fusion.token_bytes import token_bytes
from worker.fusion.vocabularies import Bridge


@pytest.fixture(scope="module")
def tokenizers(tiny_llama: Path, tiny_glm: Path):
    return tuple(AutoTokenizer.from_pretrained(each) for each in (tiny_llama, tiny_glm))


def test_a_tokens_bytes_join_to_the_text_in_two_scripts(tokenizers):
    text = "The capital, 巴黎 — naïve."
    for tokenizer in tokenizers:
        texts = token_bytes(tokenizer)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert b"".join(texts[token] for token in ids) == text.encode()
        assert texts[tokenizer.eos_token_id] is None


def test_by_bytes_a_vocabulary_changes_as_itself(tokenizers):
    donor, _ = tokenizers
    bridge = Bridge(donor, donor, "cpu")
    after, before = torch.randn(2, 5, len(donor), generator=torch.Generator().manual_seed(0))
    exact = bridge.change(after, before)
    bridge.shared = False
    special = [donor.bos_token_id, donor.unk_token_id]
    plain = [token for token in range(len(donor)) if token not in special]
    assert bridge.exact > 0.98
    torch.testing.assert_close(bridge.change(after, before)[:, plain], exact[:, plain])


def test_a_token_that_the_donor_lacks_moves_as_those_that_can_begin_it(tokenizers):
    host, donor = tokenizers
    bridge = Bridge(donor, host, "cpu")
    after, before = torch.randn(2, 3, len(donor), generator=torch.Generator().manual_seed(1))
    found = bridge.change(after, before)
    donors, hosts = token_bytes(donor), token_bytes(host)
    checked = 0
    for token, text in enumerate(hosts):
        if text is None or "\ufffd" in text.decode(errors="replace"):
            continue
        group = [place for place, other in enumerate(donors) if other == text]
        if not group:
            group = [p for p, other in enumerate(donors) if other and other.startswith(text)]
            group += donor(text.decode(), add_special_tokens=False)["input_ids"][:1]
            checked += 1
        masses = [each.softmax(-1)[:, group].sum(1).log() for each in (after, before)]
        torch.testing.assert_close(found[:, token], masses[0] - masses[1], atol=1e-5, rtol=1e-4)
    assert checked > 20
    end = (after.log_softmax(-1) - before.log_softmax(-1))[:, donor.eos_token_id]
    torch.testing.assert_close(found[:, host.eos_token_id], end, atol=1e-5, rtol=1e-4)
