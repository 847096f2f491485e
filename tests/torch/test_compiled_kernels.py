"""A compiled kernel is launched again only for arguments that Triton would not compile anew for."""

import inspect
import random

import pytest

pytest.importorskip("triton")

import torch
from triton.backends.compiler import GPUTarget
from triton.compiler import make_backend
from triton.runtime.jit import create_function_from_signature

from softmaxlib.torch._triton import (
    compiled,
    double_launch,
    draw_launch,
    draw_rows,
    launch,
    losses,
    option_losses_launch,
    sigmoid_losses_launch,
    simplex_launch,
)

BACKEND = make_backend(GPUTarget("cuda", 90, 32))
DTYPES = (torch.float32, torch.bfloat16, torch.float64)


class Checked:
    """Stands in for a kernel: knows what Triton compiles it for, and launches nothing."""

    def __init__(self, kernel):
        self.name = kernel.__name__
        self.bind = create_function_from_signature(kernel.signature, kernel.params, BACKEND)
        self.compiled = self.again = 0

    def __getitem__(self, grid):
        assert 0 < grid[0] < 2**31
        assert all(0 < one < 2**16 for one in grid[1:])

        def compile_and_launch(*arguments, **options):
            self.compiled += 1
            return Variant(self, self.bind(*arguments, **options)[1])

        return compile_and_launch


class Variant:
    """Stands in for a compiled kernel: refuses arguments that it was not compiled for."""

    def __init__(self, kernel, compiled_for):
        self.kernel, self.compiled_for = kernel, compiled_for

    def __getitem__(self, grid):
        def launch_again(*arguments):
            self.kernel.again += 1
            wanted = self.kernel.bind(*arguments)[1]
            assert wanted == self.compiled_for, self.kernel.name
            names = inspect.signature(self.kernel.bind).parameters
            for name, (kind, _), one in zip(names, wanted, arguments, strict=False):
                assert kind[0] not in "iu" or fits(kind, one), (self.kernel.name, name)

        return launch_again


def fits(kind, number):
    """Whether a whole number fits the type of an argument."""
    bits = int(kind[1:])
    return 0 <= number < 2**bits if kind[0] == "u" else -(2 ** (bits - 1)) <= number < 2 ** (bits - 1)


class Forgetful(compiled.Calls):
    """Knows no call, so that each is looked up by its arguments."""

    def keep(self, kind, launches, device):
        """Keep nothing."""


@pytest.fixture
def kernels(monkeypatch):
    """Every kernel of the launchers, none of which runs."""
    found = []
    modules = double_launch, draw_launch, launch, losses, option_losses_launch
    for module in (*modules, sigmoid_losses_launch, simplex_launch):
        for name, kernel in vars(module).items():
            if name.endswith("_kernel"):
                found.append(Checked(kernel))
                monkeypatch.setattr(module, name, found[-1])
    monkeypatch.setattr(compiled, "_compiled", {})
    monkeypatch.setattr(launch, "_calls", Forgetful())
    monkeypatch.setattr(draw_launch, "_plans", {})
    return found


ROOM = torch.zeros(1 << 21, dtype=torch.float64)


def tensor(chance, shape, dtype):
    """A tensor that begins anywhere, and lies side by side, with gaps, turned or expanded."""
    room = ROOM.view(dtype)[chance.choice((0, 0, 1, 4, 16)) :]
    gap = chance.choice((0, 0, 1, 16))
    strides = [1]
    for length in reversed(shape[1:]):
        strides.insert(0, strides[0] * length + gap)
    if chance.random() < 0.2:
        strides = strides[::-1]
    if chance.random() < 0.2:
        strides[0] = 0
    return room.as_strided(shape, strides)


def call_all(chance):
    """Call all launchers with arguments of any kind."""
    dtype = chance.choice(DTYPES)
    shape = (chance.choice((1, 2, 16, 17)), chance.choice((1, 5, 16, 500, 1024)))
    x = tensor(chance, shape, dtype)
    mask = chance.choice((None, torch.ones(shape[1], dtype=torch.bool)))
    dims = chance.choice(([-1], [-1], [0], [0, 1]))
    temperature = chance.choice((1.0, 2.0, 0.3))
    labels = torch.zeros(x.shape[0] + 1, dtype=torch.int64)[chance.choice((0, 1)) :][: x.shape[0]]
    weight = chance.choice((None, torch.ones(shape[1])))
    smoothing, gamma = chance.choice((0.0, 0.1)), chance.choice((0.0, 1.0, 2.0))
    ignored, reduction = chance.choice((None, -100, 1)), chance.choice(("none", "mean"))
    options = losses.Options(weight, mask, 1, smoothing, ignored, gamma, 0.0, reduction)
    target = chance.choice((labels, tensor(chance, shape, torch.float32)))
    plain = options._replace(where=None, label_smoothing=0.0, focal_gamma=0.0)
    arriving = torch.ones(shape[0] if reduction == "none" else (), dtype=dtype)
    binary = sigmoid_losses_launch.Options(weight, None, mask, smoothing, gamma, reduction)
    calls = [
        lambda: launch.softmax(x, dims, temperature, mask),
        lambda: launch.log_softmax(x, dims, temperature, mask),
        lambda: launch.logsumexp(x, dims, False, mask),
        lambda: double_launch.softmax_at(x, torch.ones(shape[0], 1), [1], mask),
        lambda: double_launch.softmax_jvp(x, tensor(chance, shape, dtype), dims),
        lambda: double_launch.softmax_jvp_by_probabilities(x, x, tensor(chance, shape, dtype), dims),
        lambda: losses.cross_entropy(x, target, *options),
        lambda: losses.cross_entropy_vjp(arriving, x, target, *options),
        lambda: losses.cross_entropy(x, labels, *plain),
        lambda: losses.cross_entropy_vjp(arriving, x, labels, *plain),
        lambda: losses.cross_entropy_vjp_vjp(x, arriving, x, target, *options),
        lambda: sigmoid_losses_launch.sigmoid_cross_entropy(x, x, *binary),
        lambda: sigmoid_losses_launch.sigmoid_cross_entropy_vjp_vjp(
            x, x if reduction == "none" else arriving, x, x, *binary
        ),
    ]
    alpha = chance.choice((1.5, 2.0))
    calls.append(lambda: simplex_launch.entmax(x, alpha, [1], mask))
    calls.append(lambda: simplex_launch.entmax_vjp(x, x, alpha, [1], mask))
    calls.append(lambda: simplex_launch.entmax(torch.zeros(1, 9000, dtype=dtype), alpha, [1], None))
    if dtype != torch.float64:
        scores = chance.choice((None, torch.zeros(x.shape, dtype=torch.float64)))
        stages = chance.choice(((), (draw_rows.TOP_K.value,), (draw_rows.TOP_P.value,)))
        calls.append(lambda: draw_anything(chance, x, scores, stages))
    for call in calls + calls:  # the second time with other seeds and memory
        call()


def draw_anything(chance, x, scores, stages):
    """Draw with any seed and position."""
    words = (0, 1, 16, 2**31, 2**32 - 1)
    key = draw_launch.SharedKey(chance.choice(words) << 32 | chance.choice(words), chance.choice(words))
    draw_launch.draw(x, scores, stages, torch.zeros(max(1, len(stages)), dtype=torch.float64), key)


def test_no_variant_is_taken_for_another(kernels):
    chance = random.Random(0)
    for _ in range(40):
        call_all(chance)
    assert [kernel.name for kernel in kernels if not kernel.compiled or not kernel.again] == []
    assert sum(kernel.again for kernel in kernels) > 200


def test_calls_of_one_kind_differ_in_their_tensors_alone(kernels, monkeypatch):
    seen, again = {}, []
    called = []

    class Kept(compiled.Calls):
        def keep(self, kind, launches, device):
            arguments = [one.without_tensors()[1:] for one in launches]
            again.append(kind in seen)
            assert seen.setdefault(kind, (arguments, called[-1])) == (arguments, called[-1])

    run = compiled.run

    def recording(kernel, programs, *arguments, **options):
        called.append([one.data_ptr() & 15 for one in arguments if isinstance(one, torch.Tensor)])
        return run(kernel, programs, *arguments, **options)

    monkeypatch.setattr(launch, "_calls", Kept())
    monkeypatch.setattr(launch, "run", recording)
    chance = random.Random(1)
    for _ in range(300):
        shape = chance.choice(((2, 5), (16, 500), (17, 500), (2, 9000)))
        dtype = chance.choice(DTYPES[:2])
        x = tensor(chance, shape, dtype) if shape[1] < 9000 else ROOM.view(dtype)[:18000].view(shape)
        function = chance.choice((launch.softmax, launch.log_softmax))
        function(x, chance.choice(([-1], [0])), chance.choice((1.0, 2.0)), None)
    assert sum(again) > 50
