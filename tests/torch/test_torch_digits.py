"""From images to decisions, for real: a small network, our loss, our calibration, our policy."""

import numpy as np
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("sklearn.datasets")

import torch
from sklearn.datasets import load_digits

import softmaxlib
import softmaxlib.torch as ours
from softmaxlib.calibration import Auto
from softmaxlib.decisions import SelectiveRisk


def trained_logits(seed=0):
    """Logits and labels of images that a network trained on 400 others has not seen."""
    X, label = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(label))
    X, label = torch.tensor(X[order] / 16, dtype=torch.float32), torch.tensor(label[order])
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
    logits, label = trained_logits()
    held_out, new = slice(0, 700), slice(700, None)
    policy = softmaxlib.Policy(Auto(), SelectiveRisk(0.05, 0.9)).fit(logits[held_out], label[held_out])
    raw = softmaxlib.cross_entropy(logits[new], label[new])
    calibrated = softmaxlib.cross_entropy(policy.transform(logits[new]), label[new])
    assert (logits[new].argmax(1) == label[new]).mean() > 0.9
    assert calibrated < 0.97 * raw
    decision = policy.decide(logits[new])
    kept = ~decision.abstained
    assert kept.mean() > 0.5
    assert (decision.action[kept] == label[new][kept]).mean() >= 0.95
