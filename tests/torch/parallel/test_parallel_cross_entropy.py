import itertools

import mpmath
import pytest
import sharded
import torch

import softmaxlib.torch
from softmaxlib.torch import parallel
from softmaxlib.torch.parallel import _reduction
from softmaxlib.torch.parallel._arguments import Arguments, shard_of_logits

WEIGHT = torch.rand(sharded.K, generator=torch.Generator().manual_seed(7), dtype=torch.float64) + 0.1
WEIGHT[5] = 0
MASK = torch.rand(sharded.N, sharded.K, generator=torch.Generator().manual_seed(8)) < 0.8
MASK[7] = False
MASK[8, :18] = False
EVERYTHING = {
    "label_smoothing": 0.1,
    "class_weight": WEIGHT.float(),
    "z_loss": 1e-3,
    "focal_gamma": 2.0,
    "where": MASK,
}
OPTIONS = [
    {},
    {"label_smoothing": 0.1},
    {"class_weight": WEIGHT.float()},
    {"class_weight": WEIGHT.float(), "label_smoothing": 0.1, "z_loss": 0.01},
    {"focal_gamma": 2.0},
    {"focal_gamma": 0.5, "label_smoothing": 0.2},
    {"where": MASK},
    EVERYTHING,
]
REDUCTIONS = ["none", "mean", "sum"]
SETTINGS = [(torch.float32, 1.0), (torch.float32, 40.0), (torch.bfloat16, 3.0), (torch.float64, 3.0)]
DIGITS = {torch.float32: (24, -149), torch.float64: (53, -1074), torch.bfloat16: (8, -133)}


def ulps(result, expected):
    """The largest difference in units of the last place of what is expected; infinities and NaN agree."""
    digits, least = DIGITS[expected.dtype]
    assert result.dtype == expected.dtype
    result, expected = result.double(), expected.double()
    assert torch.equal(result.isnan(), expected.isnan())
    finite = expected.isfinite()
    assert torch.equal(result[~finite].nan_to_num(), expected[~finite].nan_to_num())
    unit = 2.0 ** (torch.frexp(expected).exponent.double() - digits).clamp(min=least)
    return ((result - expected).abs() / unit)[finite].max().item() if finite.any() else 0.0


def whole(x, target, options, upstream):
    logits = x.clone().requires_grad_()
    loss = softmaxlib.torch.cross_entropy(logits, target, **options)
    loss.backward(upstream.to(loss.dtype).expand_as(loss))
    return loss.detach(), logits.grad


def distributions(dtype):
    q = torch.rand(sharded.N, sharded.K, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    q[:, 20:25] = 0
    return (q / q.sum(1, keepdim=True)).to(dtype)


def calls_of(dtype, scale):
    """Losses to compute: with all options once, and with some in every dtype."""
    x, y = sharded.rows(dtype, scale)
    upstream = torch.tensor(1.0)
    clean = torch.where(x.isfinite(), x, 0.0)
    given = [({}, "none"), (OPTIONS[3], "mean"), (EVERYTHING, "none")]
    of_distributions = [{"class_weight": WEIGHT.float(), "focal_gamma": 2.0, "z_loss": 0.01}]
    if (dtype, scale) == SETTINGS[0]:
        given = [(options, "none") for options in OPTIONS]
        given += [({}, "mean"), (EVERYTHING, "mean"), (OPTIONS[2], "sum")]
        of_distributions += [{}, {"label_smoothing": 0.1}]
    calls = [(x, y, {**options, "reduction": reduction}, upstream) for options, reduction in given]
    target = distributions(torch.float32 if dtype == torch.bfloat16 else dtype)
    return calls + [
        (clean, target, {**options, "reduction": "none"}, upstream) for options in of_distributions
    ]


@pytest.fixture(scope="module")
def results(ranks):
    """The results of all calls for each dtype and scale: {cuts: [rank: [(loss, gradient)]]}."""
    found = {}

    def of(dtype, scale):
        if (dtype, scale) not in found:
            calls = calls_of(dtype, scale)
            found[dtype, scale] = {
                tuple(cuts): ranks.run(sharded.cross_entropy, cuts, calls, world=len(cuts) + 1)
                for cuts in sharded.CUTS
            }
        return found[dtype, scale]

    return of


@pytest.mark.parametrize(("dtype", "scale"), SETTINGS)
def test_bits_depend_neither_on_the_rank_nor_on_the_cuts(results, dtype, scale):
    found = results(dtype, scale)
    reference = found[()][0]
    for by_rank in found.values():
        for index, (loss, gradient) in enumerate(reference):
            for on_rank in by_rank:
                torch.testing.assert_close(on_rank[index][0], loss, rtol=0, atol=0, equal_nan=True)
            joined = torch.cat([on_rank[index][1] for on_rank in by_rank], 1)
            torch.testing.assert_close(joined, gradient, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("dtype", "scale"), SETTINGS)
def test_loss_and_gradient_are_those_of_the_whole_logits(results, dtype, scale):
    for (loss, gradient), call in zip(results(dtype, scale)[()][0], calls_of(dtype, scale), strict=True):
        expected_loss, expected_gradient = whole(*call)
        focal = call[2].get("focal_gamma")  # 1 ULP here, 1 there: both bounds are 2 in float64
        assert ulps(loss, expected_loss) <= (2 if focal and dtype == torch.float64 else 1), call[2]
        if dtype == torch.float64:  # where terms cancel, relative to the row's largest
            torch.testing.assert_close(gradient, expected_gradient, rtol=1e-13, atol=1e-15, equal_nan=True)
        else:
            assert ulps(gradient, expected_gradient) <= 2, call[2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_confident_row_keeps_its_digits_when_its_class_lies_on_another_rank(ranks, dtype):
    x = torch.zeros(3, sharded.K, dtype=dtype)
    y = torch.tensor([1, 20, 36])
    for row, label in enumerate(y):
        x[row] = torch.linspace(-1, 0, sharded.K, dtype=dtype)
        x[row, label] = 26.5 + 20 * row
    calls = [(x, y, {"reduction": "none"}, torch.tensor(1.0))]
    for losses in ranks.run(sharded.cross_entropy, [5, 15, 30], calls):
        loss = losses[0][0]
        with mpmath.workdps(60):
            exact = [
                mpmath.log1p(
                    mpmath.fsum(
                        mpmath.exp(mpmath.mpf(float(v) - float(row[y]))) for j, v in enumerate(row) if j != y
                    )
                )
                for row, y in zip(x, y.tolist(), strict=True)
            ]
        assert 1e-11 < loss[0] < 1e-9
        assert ulps(loss, torch.tensor([float(one) for one in exact], dtype=dtype)) <= 1


@pytest.mark.parametrize(
    ("options", "forward"),
    [
        ({}, 2),
        ({**EVERYTHING, "focal_gamma": 0.0}, 2),
        ({"focal_gamma": 2.0, "z_loss": 0.1}, 2),
        (EVERYTHING, 3),
    ],
)
def test_two_collectives_forward_and_none_backward(ranks, options, forward):
    x, y = sharded.rows(torch.float32, 1.0)
    calls = [(x, y, options, torch.tensor(1.0))]
    for ((_, _, counts),) in ranks.run(sharded.cross_entropy, [10, 20, 30], calls, True):
        assert counts == (forward, 0)


@pytest.mark.parametrize(
    "setting",  # those that need most
    [
        ("soft", "class_weight", "label_smoothing", "where", "z_loss", "focal_gamma"),
        *(
            pytest.param((one, "class_weight", "label_smoothing", "where", "z_loss"), marks=pytest.mark.sweep)
            for one in ("soft", "int32")
        ),
    ],
    ids=" ".join,
)
def test_at_most_64_bytes_per_row(ranks, setting):
    """Of four ranks, in the forward pass and kept after it, with the losses."""
    for found in ranks.run(sharded.memory, torch.float32, [setting]):
        assert 48 <= max(found[setting]) <= 64


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("dtype", "fewer", "most"), [(torch.float32, 64, 64), (torch.bfloat16, 64, 64), (torch.float64, 64, 96)]
)
def test_bytes_of_each_row(soft, dtype, fewer, most):
    """With the loss, of all sets of options (most), and of those without mask and smoothing (fewer)."""
    target = torch.full((4, 8), 1 / 8) if soft else torch.zeros(4, dtype=torch.int64)
    mask = torch.ones(4, 8, dtype=torch.bool)
    choices = itertools.product((None, torch.ones(8)), (0.0, 0.1), (None, mask), (0.0, 2.0), (0.0, 0.1))
    for weight, smoothing, where, gamma, z_loss in choices:
        arguments = Arguments(target, weight, where, 0, -100, "none", smoothing, gamma, z_loss, None)
        shard = shard_of_logits(torch.zeros(4, 8, dtype=dtype), arguments)[1]
        of_loss_and_maximum = dtype.itemsize + (0 if shard.wide else 4)
        for classes, ranks in ((10, 2), (1000, 4), (65_535, 1), (65_535, 4), (65_535, 6)):
            size = 8 * _reduction._slots(shard, classes, ranks) + of_loss_and_maximum
            assert size <= (most if smoothing or where is not None or z_loss else fewer)


@pytest.mark.parametrize("classes", [2**18, 2**18 + 3])
def test_many_classes_that_are_small_together(ranks, classes):
    """One digit is enough for so many, two are for more."""
    x = torch.full((3, classes), -29.3)
    x[:, 5], x[0, 7] = 1.0, 0.0
    x[2] = torch.linspace(-30, 0, classes)
    target = torch.tensor([5, 100_000, classes - 1])
    expected = whole(x, target, {"reduction": "none", "label_smoothing": 0.001}, torch.tensor(1.0))[0]
    found = ranks.run(sharded.many_classes, x, target)
    assert all(torch.equal(losses, found[0]) for losses in found)
    assert ulps(found[0], expected) <= 1


def test_a_call_with_more_rows_than_the_last_takes_one_more_collective(ranks):
    """It is of the size of the last call, which all ranks know. The bits are the same."""
    (first, second, fewer, again), *others = ranks.run(sharded.sizes, (5, 900, 800, 900), world=3)
    assert (first[1], second[1], fewer[1], again[1]) == (2, 3, 2, 2)
    assert torch.equal(second[0], again[0])
    assert torch.equal(second[0][:800], fewer[0])
    for on_rank in others:
        for (loss, count), (same, same_count) in zip(on_rank, (first, second, fewer, again), strict=True):
            assert torch.equal(loss, same)
            assert count == same_count


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("sums_of", {}),
        ("terms_of", {"focal_gamma": 2.0, "label_smoothing": 0.1}),
        ("losses_of", {"focal_gamma": 2.0, "label_smoothing": 0.1}),
    ],
)
def test_an_error_after_the_agreement_is_raised_on_all(ranks, function, options):
    found = ranks.run(sharded.failing_later, function, options, world=3)
    text = "another rank of the group raised an error while it computed its sums; see what it printed"
    assert found == [("RuntimeError", text), ("MemoryError", "full"), ("RuntimeError", text)]


def test_a_rank_without_memory_for_more_words_leaves_no_other_waiting(ranks):
    found = ranks.run(sharded.failing_to_provide, world=3)
    assert [error for error, _ in found] == ["RuntimeError", "MemoryError", "RuntimeError"]


def test_rows_of_many_blocks_and_more_dimensions(ranks):
    x = torch.randn(3, sharded.K, 5, 2, generator=torch.Generator().manual_seed(3))
    y = torch.randint(0, sharded.K, (3, 5, 2), generator=torch.Generator().manual_seed(4))
    upstream = torch.rand(3, 5, 2)
    call = (x, y, {"reduction": "none", "label_smoothing": 0.1}, upstream)
    loss, gradient = whole(*call)
    found = ranks.run(sharded.cross_entropy, [18], [call], world=2)
    assert ulps(found[0][0][0], loss) <= 1
    assert ulps(torch.cat([on_rank[0][1] for on_rank in found], 1), gradient) <= 2


def test_no_row_and_only_ignored_rows(ranks):
    x, y = sharded.rows(torch.float32, 1.0)
    ignored = torch.full_like(y, -100)
    calls = [(x, ignored, {"reduction": way}, torch.tensor(1.0)) for way in REDUCTIONS] + [
        (x[:0], y[:0], {"reduction": way}, torch.tensor(1.0)) for way in REDUCTIONS
    ]
    for losses in ranks.run(sharded.cross_entropy, [0, 20, 20], calls):
        none, mean, total, no_row, no_mean, nothing = (loss for loss, _ in losses)
        assert none.tolist() == [0.0] * sharded.N
        assert mean.isnan()
        assert no_mean.isnan()
        assert total == 0
        assert nothing == 0
        assert no_row.shape == (0,)
        assert all((gradient == 0).all() for _, gradient in losses[:3:2])


# Faults of other libraries


def test_smoothing_is_over_the_whole_vocabulary(ranks):
    """Not over the shard's (Megatron-LM 737, 7464), nor through log(exp), -inf where exp underflows."""
    x = torch.zeros(2, sharded.K)
    x[:, 3] = 1000.0
    x[1, 30] = -1000.0
    call = (x, torch.tensor([3, 30]), {"label_smoothing": 0.1, "reduction": "none"}, torch.tensor(1.0))
    truth = whole(x.double(), *call[1:])[0]
    assert truth.isfinite().all()
    for losses in ranks.run(sharded.cross_entropy, [10, 20, 30], [call]):
        torch.testing.assert_close(losses[0][0].double(), truth, rtol=1e-7, atol=0)


def test_no_padded_class_is_taken_for_the_target(ranks):
    """A shard without the label adds none: its loss isn't inf (cut-cross-entropy 59)."""
    x, y = torch.zeros(sharded.K, sharded.K), torch.arange(sharded.K)
    call = (x, y, {"reduction": "none"}, torch.tensor(1.0))
    for losses in ranks.run(sharded.cross_entropy, [7, 16, 33], [call]):
        assert ulps(losses[0][0], torch.full((sharded.K,), 3.6109179126442243)) <= 1


@pytest.mark.parametrize(
    "options",
    [{"class_weight": WEIGHT.float()}, {"reduction": "sum"}, {"label_smoothing": 0.1, "z_loss": 0.01}],
)
def test_a_weighted_mean_over_rows_of_many_ranks(ranks, options):
    """All weights count in one sum (PyTorch 185167), so do unequal numbers of rows (Megatron-LM 7452)."""
    x, y = sharded.rows(torch.float32, 2.0)
    y[12:16] = -100
    loss, gradient = whole(x, y, options, torch.tensor(1.0))
    found = ranks.run(sharded.grid, x, y, options)
    for on_rank in found:
        assert torch.equal(on_rank[0], found[0][0])
    assert ulps(found[0][0], loss) <= 1
    joined = torch.cat([torch.cat([found[2 * i][1], found[2 * i + 1][1]], 1) for i in range(2)])
    assert ulps(joined, gradient) <= 2


def test_ignored_rows_everywhere_on_one_of_many_ranks(ranks):
    x, y = sharded.rows(torch.float32, 2.0)
    y[12:] = -100
    expected, _ = whole(x, y, {}, torch.tensor(1.0))
    for loss, gradient in ranks.run(sharded.grid, x, y, {}):
        assert ulps(loss, expected) <= 1
        assert gradient.isfinite().all()


MESSAGES = {
    "weight": (
        "InvalidInputError",
        "class_weight must be finite and not negative, got -1.0 for class 2 (on rank 2 of the group)",
    ),
    "rows": (
        "InvalidInputError",
        "every rank must pass the same rows, got 4 rows on rank 0 and 3 on rank 2; where ranks hold "
        "different rows, gather them over `group` first",
    ),
    "target": (
        "InvalidInputError",
        "every rank must pass the same target, got another on rank 2 than on rank 0; class indices count "
        "over all shards, and every rank needs those of all rows",
    ),
    "gap": (
        "InvalidInputError",
        "the shards must hold every class once, got classes 11 to 15 on rank 2 where class 10 is next; "
        "first_class is the number of classes on the shards before",
    ),
    "overlap": (
        "InvalidInputError",
        "the shards must hold every class once, got classes 9 to 13 on rank 2 where class 10 is next; "
        "first_class is the number of classes on the shards before",
    ),
    "label": (
        "InvalidInputError",
        "target must lie in 0 to 14 (15 classes), got 99 in row 2; only ignore_index=-100 leaves a row out",
    ),
    "no tensor": (
        "UnsupportedTypeError",
        "local must be a tensor, got list; make one with torch.as_tensor (on rank 2 of the group)",
    ),
    "target sum": (
        "InvalidInputError",
        "each row of target must be probabilities: none negative, with sum 1 over all shards (to 1e-3 and "
        "the rounding of their dtype); got the sum 2.5 in row 0; divide the row by its sum over all shards",
    ),
    "negative target": (
        "InvalidInputError",
        "each row of target must be probabilities: none negative, with sum 1 over all shards; got the "
        "probability -0.25 in row 1; apply softmax over all shards first (on rank 2 of the group)",
    ),
    "empty": ("InvalidInputError", "the shards must hold at least one class, got none on any rank"),
    "gradient": (
        "InvalidInputError",
        "target has no gradient here, got one that requires it; pass target.detach(), or gather the shards "
        "and use softmaxlib.torch.cross_entropy (on rank 2 of the group)",
    ),
    "rows_group": (
        "InvalidInputError",
        "rows_group shares the rows of a mean or sum, and reduction is 'none'; leave one of them out (on "
        "rank 0 of the group)",
    ),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_what_is_wrong_on_one_rank_is_raised_on_all(ranks, kind):
    found = ranks.run(sharded.failing, kind, world=4 if kind == "rows_group" else 3)
    assert found == [MESSAGES[kind]] * len(found)


@pytest.mark.parametrize(
    ("kind", "difference"), [("options", "label_smoothing=0.1"), ("dtype", "dtype=torch.float64")]
)
def test_other_options_on_one_rank_are_shown(ranks, kind, difference):
    found = ranks.run(sharded.failing, kind, world=3)
    assert len(set(found)) == 1
    error, message = found[0]
    assert error == "InvalidInputError"
    assert message.startswith(
        "every rank must pass the same options, got (reduction=mean, label_smoothing=0.0"
    )
    assert difference in message.split("on rank 0 and")[1]


def test_a_target_of_another_shape_is_raised_on_all(ranks):
    found = ranks.run(sharded.failing, "target shape", world=3)
    assert len(set(found)) == 1
    assert found[0][1].endswith("got shape (4, 1) (on rank 2 of the group)")


def test_an_error_reaches_ranks_that_hold_other_rows(ranks):
    found = ranks.run(sharded.failing, "other rows")
    message = "label_smoothing must lie in [0, 1), got 2.0; 0 leaves the targets as they are"
    assert all(error == "InvalidInputError" and text.startswith(message) for error, text in found)


def test_without_a_group_the_next_step_is_named():
    with pytest.raises(RuntimeError, match=r"group needs torch\.distributed\.init_process_group\(\)"):
        parallel.cross_entropy(torch.zeros(1, 2), torch.tensor([0]), group=None, first_class=0)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8])
def test_labels_of_a_narrow_dtype_on_shards_beyond_it(ranks, dtype):
    generator = torch.Generator().manual_seed(3)
    x, weight = (torch.randn(3, 5, generator=generator), torch.randn(400, 5, generator=generator))
    target = torch.tensor([0, 44, 100])
    expected = softmaxlib.torch.cross_entropy(x @ weight.T, target, reduction="none")
    for loss, linear, log_probability in ranks.run(
        sharded.narrow_labels, x, weight, target.to(dtype), world=4
    ):
        torch.testing.assert_close(log_probability, -expected)
        torch.testing.assert_close(loss, expected.mean())
        torch.testing.assert_close(linear, expected.mean())
