"""The kernels in double on CPU tensors, without a GPU: a program that prints the largest errors."""

import json
import sys

import mpmath
import numpy as np
import torch
from distances import doubles, note, units
from without_gpu import jit, special_rows, tl  # first: it chooses how kernels run

import softmaxlib.torch as ours
from softmaxlib.torch import _activation_operators as operators
from softmaxlib.torch import _second_derivatives
from softmaxlib.torch._triton import double_launch, launch, losses
from softmaxlib.torch._triton.row_sums import offset_of

IGNORED = 3
F32, F64, BF16 = torch.float32, torch.float64, torch.bfloat16


def loss_cases():
    """Name, logits, target and options."""
    generator = torch.Generator().manual_seed(0)

    def randn(*shape):
        return 3 * torch.randn(shape, generator=generator)

    x = randn(6, 21)
    x[0, 7], x[1, 3], x[2, 0], x[3], x[4, 2] = 60.0, 35.0, torch.nan, torch.inf, -torch.inf
    y = torch.tensor([7, 3, IGNORED, 5, 20, 1])
    weight, where = torch.rand(21, generator=generator), torch.rand(6, 21, generator=generator) > 0.3
    where[0, 7], where[4], where[5, 1] = True, False, False
    everything = {"class_weight": weight, "where": where, "ignore_index": IGNORED, "z_loss": 1e-2}
    yield "smoothing", x, y, {"label_smoothing": 0.1, "ignore_index": IGNORED}
    yield "smoothing and more, mean", x[[0, 1, 4]], y[[0, 1, 4]], everything | {
        "label_smoothing": 0.2, "where": where[[0, 1, 4]], "reduction": "mean",
    }  # fmt: skip
    yield "mask and weights", x, y, everything
    yield "focal", x, y, everything | {"focal_gamma": 2.0, "z_loss": 0.0}
    target = torch.softmax(randn(6, 21), -1)
    target[:, 4] = 0.0
    target /= target.sum(-1, keepdim=True)
    yield "probabilities", x, target, {"class_weight": weight, "label_smoothing": 0.1, "z_loss": 1e-2}
    yield "focal, probabilities", x, target, {
        "class_weight": weight, "label_smoothing": 0.1, "z_loss": 1e-2, "focal_gamma": 0.5,
    }  # fmt: skip
    yield "focal, smoothing and more", x, y, everything | {"focal_gamma": 2.0, "label_smoothing": 0.2}
    target = torch.where(where, target, 0.0)[:2]
    target /= target.sum(-1, keepdim=True)
    yield "probabilities with a mask, sum", x[[0, 1]], target, {
        "where": where[[0, 1]], "reduction": "sum",
    }  # fmt: skip
    yield "classes far apart", randn(3, 17, 2, 3), torch.randint(17, (3, 2, 3), generator=generator), {}
    yield "bfloat16", randn(5, 40).to(BF16), torch.arange(5), {"label_smoothing": 0.3, "reduction": "mean"}
    yield "float16", randn(2, 33).half()[:, 1:], torch.arange(2), {"focal_gamma": 1.5}
    yield "several tiles", randn(1, 2100), torch.tensor([2099]), {"label_smoothing": 0.1}
    x = torch.full((1, 1100), -torch.inf)
    x[0, 1090:] = 3.0
    yield "no class is left in the first tile", x, torch.tensor([1095]), {"where": x < 5}
    yield "float64", randn(4, 30).double(), torch.arange(4), {"label_smoothing": 0.1, "z_loss": 1e-2}
    yield "float64, focal", 9 * randn(2, 30).double(), torch.softmax(randn(2, 30), -1).double(), {
        "focal_gamma": 2.0, "reduction": "mean",
    }  # fmt: skip
    yield "float64, labels", randn(3, 9).double() * 9, torch.arange(3), {"reduction": "sum"}


def check_losses(worst):
    """Compare losses and derivatives with those of the CPU, in double."""
    for name, x, target, given in loss_cases():
        options = {"ignore_index": -100, "label_smoothing": 0.0, "focal_gamma": 0.0, "z_loss": 0.0}
        options |= {"class_weight": None, "where": None, "reduction": "none"} | given
        if target.is_floating_point():
            options["ignore_index"] = None
        wide = x.double().requires_grad_()
        want = ours.cross_entropy(wide, target, **options)
        call = losses.Options(dim=1, **options)
        arriving = torch.linspace(-2, 3, want.numel()).reshape(want.shape).to(x.dtype)
        want.backward(arriving.double())
        got = losses.cross_entropy(x, target, *call)
        slope = losses.cross_entropy_vjp(arriving, x, target, *call)
        assert slope.stride() == torch.empty_like(x).stride()
        if x.dtype == F64:
            error = doubles(got, want.detach()), doubles(slope, wide.grad, wide.grad.abs().amax())
        else:
            error = units(got, want.detach()), units(slope, wide.grad)
        note(worst, f"loss {x.dtype}", name, error[0])
        note(worst, f"gradient {x.dtype}", name, error[1])
        assert torch.equal(slope == 0, wide.grad.to(x.dtype) == 0), name
        if options["reduction"] == "none":
            in_place = x.clone()
            assert torch.equal(losses.losses_and_derivatives(in_place, target, call).nan_to_num(),
                               losses.losses_of_rows(x, target, call).nan_to_num())  # fmt: skip


def exactly(function, row, temperature):
    """A function of a row of numbers, rounded once."""
    mpmath.mp.prec = 500
    powers = [mpmath.exp(mpmath.mpf(one) / mpmath.mpf(temperature)) for one in row.tolist()]
    total = mpmath.fsum(powers)
    if function == "logsumexp":
        return torch.tensor([float(mpmath.log(total))], dtype=F64)
    results = [power / total for power in powers]
    if function == "log_softmax":
        results = [mpmath.log(one) for one in results]
    return torch.tensor([float(one) for one in results], dtype=F64)


def check_activations(worst):
    """Compare float64 with exact numbers, and rows with NaN, infinities and masks with the CPU."""
    generator = torch.Generator().manual_seed(2)
    row = 4 * torch.randn(1, 40, generator=generator).double()
    row[0, 7] = 45.0  # a confident class
    for temperature in (1.0, 0.37):
        for function in ("softmax", "log_softmax", "logsumexp"):
            if function == "logsumexp":
                got = launch.logsumexp(row, [-1], False, None)
                want = exactly(function, row[0], 1.0)
            else:
                got = getattr(launch, function)(row, [-1], temperature, None)
                want = exactly(function, row[0], temperature)[None]
            note(worst, function, f"exact, temperature {temperature}", doubles(got, want))
    rows = special_rows(781, generator).double()  # an odd length, wrong in a release of PyTorch
    far = torch.randn(20, 6, 2, generator=generator).double()
    where = torch.rand(rows.shape, generator=generator) > 0.4
    where[5] = False
    for name, x, dims, mask in (
        ("special rows", rows, [-1], None),
        ("masked rows", rows, [-1], where),
        ("far apart", far, [0, 2], None),
    ):
        for function in ("softmax", "log_softmax", "logsumexp"):
            if function == "logsumexp":
                got, want = launch.logsumexp(x, dims, True, mask), ours.logsumexp(x, dims, True, where=mask)
            else:
                got = getattr(launch, function)(x, dims, 1.0, mask)
                want = getattr(ours, function)(x, dims, where=mask)
            assert got.stride() == want.stride()
            note(worst, f"{function} beside the CPU", name, doubles(got, want))


def check_temperatures(worst):
    """Compare softmax and log_softmax at temperatures of rows with the definition in double."""
    generator = torch.Generator().manual_seed(6)
    rows = special_rows(37, generator)
    rows[6, 0] = -torch.inf
    where = torch.rand(rows.shape, generator=generator) > 0.4
    where[5] = False
    warm = torch.tensor([1.0, 0.5, 2.0, 3.0, 1e30, 0.07, 1e-3, 40.0])[:, None]
    block = torch.randn(6, 3, 5, generator=generator)
    for name, x, dims, temperature, mask in (
        ("rows", rows, [-1], warm, None),
        ("masked", rows, [1], warm.double(), where),
        ("one for all, to the power of -5", rows[5:], [-1], torch.tensor(2.0**-5), None),
        ("far apart", block.permute(2, 0, 1)[::2], [2], torch.rand(6, 1, generator=generator) + 0.1, None),
        ("not above 0", rows[5:], [-1], torch.tensor([[0.0], [torch.nan], [-1.0]]), where[5:]),
    ):
        for dtype in (F32, BF16, F64):
            given = x.to(dtype)
            for function in ("softmax", "log_softmax"):
                got = getattr(double_launch, f"{function}_at")(given, temperature, dims, mask)
                assert got.stride() == torch.empty_like(given).stride()
                if dtype == F64:
                    error = doubles(got, one_by_one(function, given, dims, temperature, mask))
                else:
                    generic = getattr(operators, f"{function}_generic")
                    want = generic(given.double(), dims, temperature.double(), mask)
                    if mask is not None:  # also in rows that are NaN
                        want = torch.where(mask, want, 0.0 if function == "softmax" else -torch.inf)
                    error = units(got, want)
                note(worst, f"{function} at temperatures {dtype}", name, error)


def one_by_one(function, x, dims, temperature, mask):
    """A function of rows of float64, by the kernel for one temperature."""
    result = torch.full_like(x, torch.nan)
    for one in temperature.unique().tolist():
        if one > 0:
            at_one = getattr(launch, function)(x, dims, one, mask)
            result = torch.where(temperature == one, at_one, result)
    if mask is not None:
        result = torch.where(mask, result, 0.0 if function == "softmax" else -torch.inf)
    return result


def check_derivatives(worst):
    """Compare the derivatives of softmax and log_softmax with the definition in double."""
    generator = torch.Generator().manual_seed(3)
    rows = 3 * torch.randn(4, 33, generator=generator)
    rows[0, 3], rows[1, 4], rows[2, :16] = 50.0, 19.0, -torch.inf
    for name, x, dims in (
        ("rows", rows, [-1]),
        ("far apart", torch.randn(9, 5, 2, generator=generator), [0, 2]),
    ):
        for dtype in (F32, BF16, F64):
            t = torch.randn(x.shape, generator=generator).to(dtype)
            for function, values in (
                ("softmax_jvp", ours.softmax(x, dims).to(dtype)),
                ("log_softmax_vjp", ours.log_softmax(x, dims).to(dtype)),
            ):
                got = getattr(double_launch, function)(values, t, dims)
                wide = values.double(), t.double()
                want = getattr(operators, f"_{function}_generic")(*wide, dims)
                if dtype == F64:
                    p = wide[0] if function == "softmax_jvp" else wide[0].exp()
                    error = doubles(got, want, (p * t.abs().sum(dims, keepdim=True)).abs())
                else:
                    error = units(got, want)
                assert got.dtype == dtype
                note(worst, f"{function} {dtype}", name, error)
            check_second_derivatives(worst, name, x, dims, dtype, generator)


def check_second_derivatives(worst, name, x, dims, dtype, generator):
    """Compare the derivatives of derivatives with their definitions in double."""
    p, log_p = ours.softmax(x, dims).to(dtype), ours.log_softmax(x, dims).to(dtype)
    t, g = (torch.randn(x.shape, generator=generator).to(dtype) for _ in range(2))
    for function, values, others in (
        ("softmax_jvp_by_probabilities", p, (t, g)),
        ("log_softmax_vjp_by_logarithms", log_p, (t, g)),
        ("log_softmax_jvp", log_p, (g,)),
    ):
        got = getattr(double_launch, function)(values, *others, dims)
        operator = getattr(_second_derivatives, function)
        want = operator(values.double(), *(one.double() for one in others), dims)
        assert got.dtype == dtype
        if dtype == F64:  # differences, whose parts are not larger than these
            parts = want.abs() + sum(one.abs() for one in others) + t.abs() * g.abs()
            error = doubles(got, want, parts)
        else:
            error = units(got, want)
        note(worst, f"second {dtype}", f"{function}, {name}", error)


@jit
def places_kernel(places, row, stride):
    """Write where a row begins."""
    lengths, strides = (2**30,), (stride,)
    tl.store(places, offset_of(tl.program_id(0) + row, lengths, strides))


def check_faults_of_others():
    """Large offsets, labels out of range, all rows ignored, expanded gradients and empty tensors."""
    place = torch.zeros(1, dtype=torch.int64)
    places_kernel[(1,)](place, 70000, 128256)
    assert place.item() == 70000 * 128256  # more than 2^31
    x = torch.randn(2, 5, generator=torch.Generator().manual_seed(5))
    ignored = torch.tensor([-100, -100])
    for options in ({}, {"label_smoothing": 0.1}):
        call = losses.Options(None, None, 1, 0.0, -100, 0.0, 0.0, "mean")._replace(**options)
        assert losses.cross_entropy(x, ignored, *call).isnan()
        assert not losses.cross_entropy_vjp(torch.tensor(1.0), x, ignored, *call).any()
    labels, weight = torch.tensor([1, 9, 4, 9]), torch.arange(10.0)  # every other of them
    for smoothing in (0.0, 0.1):
        call = losses.Options(weight[::2], None, 1, smoothing, -100, 0.0, 0.0, "mean")
        own = call._replace(class_weight=weight[::2].clone())
        apart = losses.cross_entropy(x, labels[::2], *call)
        assert torch.equal(apart, losses.cross_entropy(x, labels[::2].clone(), *own))
        assert torch.allclose(apart.double(), ours.cross_entropy(
            x.double(), labels[::2], weight[::2].double(), label_smoothing=smoothing
        ))  # fmt: skip
    x = torch.zeros(3, 5)
    x[1] = torch.tensor([9.0, 0.0, 0.0, 0.0, 0.0])
    call = losses.Options(None, None, 1, 0.1, -100, 0.0, 0.0, "none")
    got = losses.cross_entropy(x, torch.tensor([0, 5, -1]), *call)
    slope = losses.cross_entropy_vjp(torch.ones(3), x, torch.tensor([0, 5, -1]), *call)
    assert got.isnan().tolist() == slope.isnan().all(1).tolist() == [False, True, True]
    weighted = losses._counted(x, torch.tensor([0, 5, -1]), call._replace(class_weight=torch.ones(5)))
    assert weighted.item() == 1.0  # no label out of range is looked up
    wide, target = x[:2].double(), torch.tensor([0, 1])
    arriving = torch.ones(1, dtype=F64).expand(2)  # one number in the place of many
    slope = losses.cross_entropy_vjp(arriving, wide, target, *call)
    assert torch.equal(slope, losses.cross_entropy_vjp(torch.ones(2, dtype=F64), wide, target, *call))
    none = x[:0], torch.zeros(0, dtype=torch.int64)
    assert losses.cross_entropy(*none, *call) is NotImplemented
    assert losses.cross_entropy_vjp_vjp(none[0], torch.ones(0), *none, *call) is NotImplemented


def main():
    """Check all."""
    import without_gpu_second_losses  # after it was chosen how kernels run
    import without_gpu_sigmoids

    worst = {}
    check_losses(worst)
    check_activations(worst)
    check_temperatures(worst)
    check_derivatives(worst)
    check_faults_of_others()
    without_gpu_sigmoids.check(worst)
    without_gpu_second_losses.check(worst)
    json.dump(worst, sys.stdout)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
