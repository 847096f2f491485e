import pytest
import sharded
import torch

import softmaxlib.torch

GENERATOR = torch.Generator().manual_seed(11)
FEATURES = torch.randn(12, 5, generator=GENERATOR)
WEIGHT = torch.randn(sharded.K, 5, generator=GENERATOR)
BIAS = torch.randn(sharded.K, generator=GENERATOR)
TARGET = torch.randint(0, sharded.K, (12,), generator=GENERATOR)
TARGET[4] = -100
FEATURES[4] = torch.nan

CASES = [
    {},
    {"softcap": 3.0, "label_smoothing": 0.1, "z_loss": 0.01},
    {"reduction": "none", "softcap": 30.0},
    {"reduction": "sum", "memory_budget": 64 * sharded.K},
]


def whole(bias, options, upstream):
    leaves = [one.clone().requires_grad_() for one in (FEATURES, WEIGHT, BIAS)]
    input, weight, offset = leaves
    options = {name: value for name, value in options.items() if name != "memory_budget"}
    loss = softmaxlib.torch.linear_cross_entropy(
        input, weight, TARGET, bias=offset if bias else None, **options
    )
    loss.backward(upstream.expand_as(loss))
    return loss.detach(), [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("cuts", [[18], [0, 7, 7]])
def test_loss_and_gradients_are_those_of_the_whole_layer(ranks, options, cuts):
    bias, upstream = "softcap" in options, torch.tensor(0.5)
    if options.get("reduction") == "none":
        upstream = torch.rand(12, generator=torch.Generator().manual_seed(1))
    expected, gradients = whole(bias, options, upstream)
    found = ranks.run(
        sharded.linear_cross_entropy,
        cuts,
        FEATURES,
        WEIGHT,
        BIAS if bias else None,
        TARGET,
        options,
        upstream,
        world=len(cuts) + 1,
    )
    for loss, of_input, _, _, collectives in found:
        assert torch.equal(loss, found[0][0])
        assert torch.equal(of_input, found[0][1])
        assert collectives == (2, 1)
    close = {"rtol": 2e-6, "atol": 1e-6}
    torch.testing.assert_close(found[0][0], expected, **close)
    torch.testing.assert_close(found[0][1], gradients[0], **close)
    assert (found[0][1][4] == 0).all()
    torch.testing.assert_close(
        torch.cat([of_weight for _, _, of_weight, _, _ in found]), gradients[1], **close
    )
    if bias:
        torch.testing.assert_close(
            torch.cat([of_bias for _, _, _, of_bias, _ in found]), gradients[2], **close
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes(ranks, dtype):
    x, w = FEATURES.nan_to_num().to(dtype), WEIGHT.to(dtype)
    found = ranks.run(
        sharded.linear_cross_entropy, [10, 20, 30], x, w, None, TARGET, {}, torch.tensor(1.0, dtype=dtype)
    )
    expected = softmaxlib.torch.linear_cross_entropy(x, w, TARGET)
    assert found[0][0].dtype == found[0][1].dtype == found[0][2].dtype == dtype
    torch.testing.assert_close(found[0][0], expected)


def test_what_is_wrong_on_one_rank_is_raised_on_all(ranks):
    for kind, message in (
        ("features", "features must have shape (..., D) and weight (K, D) with one D and K > 0, got shapes"),
        ("budget", "memory_budget must hold one row of logits, 320 bytes, got 10; raise it"),
        ("bias", "bias must hold one number per class, shape (0,), got (3,)"),
    ):
        found = ranks.run(sharded.failing_layer, kind, world=2)
        assert len(set(found)) == 1
        assert found[0][0] == "InvalidInputError"
        assert found[0][1].startswith(message)
        assert found[0][1].endswith("(on rank 1 of the group)")


def test_an_error_in_the_backward_pass_is_raised_on_all(ranks):
    found = ranks.run(sharded.failing_backward, world=3)
    assert [error for error, _ in found] == ["RuntimeError", "MemoryError", "RuntimeError"]
