"""Memory kept for the backward pass: one array of the size of the logits, as in JAX."""

import re

import numpy as np
import pytest

pytest.importorskip("jax.numpy")

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import print_saved_residuals

import softmaxlib.jax as ours

LOGITS = jnp.asarray(np.random.default_rng(0).standard_normal((6, 11)), jnp.float32)
LABELS = jnp.arange(6)
MASK = jnp.arange(66).reshape(6, 11) % 4 > 0


@pytest.fixture
def kept(capsys):
    """The dtypes and sizes of what a function keeps."""

    def kept(function, *arguments):
        print_saved_residuals(function, *arguments)
        lines = re.findall(r"^~?(\w+)\[([\d,]*)\]", capsys.readouterr().out, re.MULTILINE)
        return [
            (dtype, int(np.prod([int(one) for one in shape.split(",") if one]))) for dtype, shape in lines
        ]

    return kept


def of_size(found, size):
    return [dtype for dtype, elements in found if elements >= size]


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sparsemax", "entmax"])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("axis", [-1, (0, 1)])
def test_an_activation_keeps_one_array(kept, name, compiled, axis):
    def function(x):
        return getattr(ours, name)(x, axis=axis)

    assert kept(jax.jit(function) if compiled else function, LOGITS) == [("f32", LOGITS.size)]


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sparsemax", "entmax"])
def test_a_mask_adds_at_most_itself(kept, name):
    found = of_size(kept(lambda x: getattr(ours, name)(x, where=MASK), LOGITS), LOGITS.size)
    assert sorted(found) in (["f32"], ["bool", "f32"])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_a_learned_temperature_adds_the_logits_and_a_fixed_one_nothing(kept, name):
    function = getattr(ours, name)
    assert kept(lambda x: function(x, temperature=2.0), LOGITS) == [("f32", LOGITS.size)]
    learned = kept(lambda x, t: function(x, temperature=t), LOGITS, jnp.float32(2.0))
    assert len(of_size(learned, 6)) == 2


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"axis": 0},
        {"class_weight": np.ones(11), "label_smoothing": 0.1, "ignore_index": 2},
        {"focal_gamma": 2.0, "z_loss": 0.1},
    ],
    ids=str,
)
def test_cross_entropy_keeps_the_logits_and_something_a_row(kept, dtype, options):
    label = jnp.arange(11) % 6 if "axis" in options else LABELS
    found = kept(lambda x: ours.cross_entropy(x, label, **options), LOGITS.astype(dtype))
    assert of_size(found, LOGITS.size) == ["f32" if dtype == jnp.float32 else "bf16"]
    assert sum(elements for _, elements in found) <= LOGITS.size + 2 * LABELS.size + 11 + 2


def test_cross_entropy_of_probabilities_keeps_both_arguments(kept):
    found = kept(ours.cross_entropy, LOGITS, jax.nn.softmax(LOGITS))
    assert len(of_size(found, 6)) == 2
