"""The road from images to decisions that a network of any framework takes, but for its training."""

import numpy as np

import softmaxlib
from softmaxlib.calibration import Auto
from softmaxlib.decisions import SelectiveRisk


def shuffled_digits(seed):
    """Images (1797, 64) between 0 and 1 in float32, and their labels, in a random order."""
    from sklearn.datasets import load_digits

    X, label = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(label))
    return (X[order] / 16).astype(np.float32), label[order]


def check_calibrated_and_decided_beat_the_raw_network(logits, label):
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
