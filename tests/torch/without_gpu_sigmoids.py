"""Cross-entropy of binary logits on CPU tensors, without a GPU."""

import torch
from distances import doubles, note, units

import softmaxlib.torch as ours
from softmaxlib.torch._triton import sigmoid_losses_launch as kernels


def cases():
    """Name, logits, target and options."""
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.randn(7, 9, generator=generator)
    x[0, :6] = torch.tensor([0.0, -0.0, 100.0, -100.0, 20.0, -800.0])
    x[1, 0], x[1, 1], x[1, 2], x[2, :2] = torch.nan, torch.inf, -torch.inf, torch.tensor([torch.inf, 1e38])
    soft, hard = torch.rand(7, 9, generator=generator), torch.rand(7, 9, generator=generator) > 0.5
    soft[1, :3], hard[1, 1], hard[2, 0] = torch.tensor([0.5, 1.0, 0.0]), True, False
    weight, where = torch.rand(7, 1, generator=generator), torch.rand(7, 9, generator=generator) > 0.3
    weight[4] = 0.0
    where[1, 0] = False
    pos_weight = torch.rand(9, generator=generator) * 5
    everything = {"weight": weight, "pos_weight": pos_weight, "where": where}
    yield "soft", x, soft, {}
    yield "hard, masked", x, hard, {"where": where}
    yield "smoothing", x, hard.long(), {"label_smoothing": 0.1}
    yield "everything", x, soft, everything | {"label_smoothing": 0.2, "focal_gamma": 2.0}
    yield "focal", x, hard, {"focal_gamma": 0.5}
    turned = {name: one[3:].T for name, one in everything.items() if name != "pos_weight"}
    turned |= {"pos_weight": pos_weight[:, None], "reduction": "mean"}
    yield "mean", x[3:].T, hard[3:].T, turned
    yield "sum, several programs", torch.randn(3, 401, generator=generator)[:, ::2], torch.ones(3, 201), {
        "reduction": "sum", "where": torch.arange(201) > 20,
    }  # fmt: skip
    yield "one number", torch.tensor(-3.0), torch.tensor(1), {"reduction": "mean"}


def check(worst):
    """Compare losses and derivatives with those of the CPU, in double."""
    for name, x, target, given in cases():
        options = {"weight": None, "pos_weight": None, "where": None, "label_smoothing": 0.0}
        options |= {"focal_gamma": 0.0, "reduction": "none"} | given
        for dtype in (torch.float32, torch.bfloat16, torch.float64):
            logits = x.to(dtype)
            wide = logits.double().requires_grad_()
            operands = dict(options)
            for weight in ("weight", "pos_weight"):
                if options[weight] is not None:
                    operands[weight] = options[weight].double()
            want = ours.sigmoid_cross_entropy(wide, target.double(), **operands)
            arriving = torch.linspace(-2, 3, want.numel()).reshape(want.shape).to(dtype)
            want.backward(arriving.double())
            call = kernels.Options(**options)
            got = kernels.sigmoid_cross_entropy(logits, target, *call)
            slope = kernels.sigmoid_cross_entropy_vjp(arriving, logits, target, *call)
            assert got.is_contiguous()
            assert slope.stride() == torch.empty_like(logits).stride()
            if dtype == torch.float64:
                largest = wide.grad.nan_to_num().abs().amax()
                error = doubles(got, want.detach()), doubles(slope, wide.grad, largest)
            else:
                error = units(got, want.detach()), units(slope, wide.grad)
            note(worst, f"binary loss {dtype}", name, error[0])
            note(worst, f"binary gradient {dtype}", name, error[1])
    call = kernels.Options(None, None, torch.zeros(4, dtype=torch.bool), 0.0, 0.0, "mean")
    x = torch.full((3, 4), torch.nan)
    assert kernels.sigmoid_cross_entropy(x, torch.ones(3, 4), *call).isnan()
    assert not kernels.sigmoid_cross_entropy_vjp(torch.tensor(1.0), x, torch.ones(3, 4), *call).any()
    assert kernels.sigmoid_cross_entropy(x[:0], x[:0], *call) is NotImplemented
