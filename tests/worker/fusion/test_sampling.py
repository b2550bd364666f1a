"""The likeliest token under the noise is a sample at the wanted temperature."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from worker.fusion.sampling import sampled

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0])


class Constant(nn.Module):
    """A model that always says LOGITS."""

    device = torch.device("cpu")

    def forward(self, rows: int) -> SimpleNamespace:
        return SimpleNamespace(logits=LOGITS.expand(1, rows, 4))


def draws(temperature: float, seed: int, rows: int = 20_000) -> Tensor:
    model = Constant()
    with sampled(model, temperature, seed):
        return model(rows).logits[0].argmax(-1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_softmax_at_that_temperature(temperature: float):
    found = torch.bincount(draws(temperature, seed=0), minlength=4) / 20_000
    # Four standard errors of a share of 20,000.
    assert torch.allclose(found, (LOGITS / temperature).softmax(0), atol=4 * 0.0036)


def test_a_seed_gives_the_same_tokens_again_and_another_others():
    assert torch.equal(draws(1.0, seed=3), draws(1.0, seed=3))
    assert not torch.equal(draws(1.0, seed=3), draws(1.0, seed=4))


def test_temperature_zero_leaves_the_model_alone():
    model = Constant()
    with sampled(model, 0.0, seed=0):
        assert torch.equal(model(2).logits[0, 0], LOGITS)


def test_the_noise_ends_with_its_block():
    model = Constant()
    with sampled(model, 1.0, seed=0):
        model(1)
    assert torch.equal(model(1).logits[0, 0], LOGITS)
