"""From images to decisions, for real: a small network, our loss, our calibration, our policy."""

import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("sklearn.datasets")

import torch
from digits_journey import check_calibrated_and_decided_beat_the_raw_network, shuffled_digits

import softmaxlib.torch as ours


def trained_logits(seed=0):
    """Logits and labels of images that a network trained on 400 others has not seen."""
    X, label = map(torch.tensor, shuffled_digits(seed))
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    loss = ours.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(400):
        optimizer.zero_grad()
        loss(network(X[:400]), label[:400]).backward()
        optimizer.step()
    with torch.no_grad():
        return network(X[400:]).numpy(), label[400:].numpy()


def test_digits_trained_calibrated_and_decided_beat_the_raw_network():
    check_calibrated_and_decided_beat_the_raw_network(*trained_logits())
