"""Every public function and layer on tensors in graphs: compiled, exported, faked, with tangents."""

import pytest

pytest.importorskip("torch.nn")

import shutil
import subprocess
import sys

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import softmaxlib
import softmaxlib.torch as ours

ROWS, CLASSES = 4, 3
X = torch.randn(ROWS, CLASSES, generator=torch.Generator().manual_seed(0))
TANGENT = torch.randn(ROWS, CLASSES, generator=torch.Generator().manual_seed(1))
WEIGHT = torch.randn(5, CLASSES, generator=torch.Generator().manual_seed(2))
TARGET = torch.tensor([0, 2, 1, 0])
CHANCES = torch.rand(ROWS, CLASSES, generator=torch.Generator().manual_seed(3))
PRIOR = [0.2, 0.3, 0.5], [0.5, 0.25, 0.25]
PRIOR_TENSORS = tuple(map(torch.tensor, PRIOR))
MASK = torch.tensor([True, True, False])


class WithTarget(torch.nn.Module):
    """A layer that is given the same target every time."""

    def __init__(self, layer, target=TARGET):
        super().__init__()
        self.layer = layer
        self.target = target

    def forward(self, x):
        return self.layer(x, self.target)


torch.manual_seed(0)

PLAIN = {
    "softmax": lambda x: softmaxlib.softmax(x, temperature=2.0, where=MASK),
    "softmax with a sink": lambda x: softmaxlib.softmax(x, sink=0.0),
    "log_softmax": lambda x: softmaxlib.log_softmax(x, axis=0),
    "logsumexp": lambda x: softmaxlib.logsumexp(x, keepdims=True),
    "sigmoid": softmaxlib.sigmoid,
    "log_sigmoid": softmaxlib.log_sigmoid,
    "hardmax": softmaxlib.hardmax,
    "normalize": lambda x: softmaxlib.normalize(x, where=MASK),
    "sparsemax": softmaxlib.sparsemax,
    "sparsemax_vjp": lambda x: softmaxlib.sparsemax_vjp(softmaxlib.sparsemax(x), TANGENT),
    "entmax": softmaxlib.entmax,
    "entmax_vjp": lambda x: softmaxlib.entmax_vjp(softmaxlib.entmax(x), TANGENT),
    "gumbel_softmax": lambda x: softmaxlib.gumbel_softmax(x, 0.7, seed=3),
    "gumbel_softmax_vjp": lambda x: softmaxlib.gumbel_softmax_vjp(x, TANGENT, 0.7, seed=3),
    "softmax_jacobian": lambda x: softmaxlib.softmax_jacobian(softmaxlib.softmax(x)),
    "softmax_jvp": lambda x: softmaxlib.softmax_jvp(x, TANGENT),
    "log_softmax_jvp": lambda x: softmaxlib.log_softmax_jvp(x, TANGENT),
    "log_softmax_vjp": lambda x: softmaxlib.log_softmax_vjp(x, TANGENT),
    "softcap": lambda x: softmaxlib.softcap(x, 2.0),
    "softcap_vjp": lambda x: softmaxlib.softcap_vjp(x, TANGENT, 2.0),
    "adjust_prior": lambda x: softmaxlib.adjust_prior(x, *PRIOR),
    "adjust_prior of tensors": lambda x: softmaxlib.adjust_prior(x, *PRIOR_TENSORS),
    "adjust_prior_vjp": lambda x: softmaxlib.adjust_prior_vjp(x, *PRIOR),
    "margin": lambda x: softmaxlib.margin(x / 9, TARGET[: x.shape[0]], scale=3.0, angular=0.1),
    "margin_vjp": lambda x: softmaxlib.margin_vjp(x / 9, TARGET, TANGENT, scale=3.0, angular=0.1),
    "cross_entropy": lambda x: softmaxlib.cross_entropy(x, TARGET, label_smoothing=0.1),
    "cross_entropy_grad": lambda x: softmaxlib.cross_entropy_grad(x, TARGET).grad,
    "sigmoid_cross_entropy": lambda x: softmaxlib.sigmoid_cross_entropy(
        x, CHANCES, pos_weight=3.0, where=MASK
    ),
    "sigmoid_cross_entropy_grad": lambda x: softmaxlib.sigmoid_cross_entropy_grad(x, CHANCES).grad,
    "linear_cross_entropy": lambda x: softmaxlib.linear_cross_entropy(x, WEIGHT, TARGET),
    "linear_cross_entropy_grad": lambda x: softmaxlib.linear_cross_entropy_grad(x, WEIGHT, TARGET)[1],
}
FUNCTIONS = {
    "torch.softmax": lambda x: ours.softmax(x, temperature=2.0, where=MASK),
    "torch.log_softmax": lambda x: ours.log_softmax(x, 0),
    "torch.logsumexp": lambda x: ours.logsumexp(x, None),
    "torch.sparsemax": ours.sparsemax,
    "torch.entmax": lambda x: ours.entmax(x, 1.3),
    "torch.cross_entropy": lambda x: ours.cross_entropy(x, TARGET, z_loss=0.1),
    "torch.sigmoid_cross_entropy": lambda x: ours.sigmoid_cross_entropy(x, CHANCES, focal_gamma=2.0),
    "torch.linear_cross_entropy": lambda x: ours.linear_cross_entropy(x, WEIGHT, TARGET, reduction="none"),
    "MarginHead": WithTarget(ours.MarginHead(CLASSES, 5)),
}
OF_FUNCTIONS = {  # layers that call the functions above
    "Softmax": ours.Softmax(temperature=0.5),
    "LogSoftmax": ours.LogSoftmax(),
    "Sparsemax": ours.Sparsemax(),
    "Entmax": ours.Entmax(),
    "CrossEntropyLoss": WithTarget(ours.CrossEntropyLoss(label_smoothing=0.1)),
    "SigmoidCrossEntropyLoss": WithTarget(ours.SigmoidCrossEntropyLoss(pos_weight=3.0), CHANCES),
    "LinearCrossEntropyLoss": WithTarget(ours.LinearCrossEntropyLoss(CLASSES, 5, bias=True)),
}
CALLS = PLAIN | FUNCTIONS | OF_FUNCTIONS
NO_GRADIENT = {"hardmax"}
OF_FLOAT32_WEIGHTS = {  # whose tangents have tests of their own
    "linear_cross_entropy",
    "linear_cross_entropy_grad",
    "torch.linear_cross_entropy",
    "LinearCrossEntropyLoss",
    "MarginHead",
}

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch's own jvp


@pytest.fixture(
    params=[pytest.param(one, marks=pytest.mark.sweep) if one in OF_FUNCTIONS else one for one in CALLS]
)
def name(request):
    torch.compiler.reset()
    return request.param


def test_no_public_function_is_missing_from_the_table():
    from softmaxlib import activations, losses, transforms

    public = {
        one
        for package in (activations, losses, transforms)
        for one in package.__all__
        if not isinstance(getattr(package, one), type)
    }
    assert public <= set(PLAIN)


def test_compiled_without_a_break_with_the_same_gradient(name):
    call = CALLS[name]
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    leaf = X if name in NO_GRADIENT else X.clone().requires_grad_()
    found, expected = compiled(leaf), call(leaf)
    torch.testing.assert_close(found, expected)
    if name not in NO_GRADIENT:
        torch.testing.assert_close(
            *(torch.autograd.grad((each**2).sum(), leaf) for each in (found, expected))
        )


def test_exported_whole_in_pytorchs_own_operators(name):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.call = CALLS[name]

        def forward(self, x):
            return self.call(x)

    program = torch.export.export(Module(), (X,), strict=True)
    torch.testing.assert_close(program.module()(X), CALLS[name](X), rtol=1e-5, atol=1e-6)
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert targets
    assert not any("softmaxlib" in target for target in targets)


def test_a_fake_tensor_gives_a_fake_tensor_of_the_same_layout(name):
    behind_others = torch.cat([X[:1], X])[1:]  # its memory does not begin at the storage's
    for x in (X, X.T.contiguous().T, X[:1].expand(ROWS, CLASSES), behind_others):
        real = CALLS[name](x)
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            fake = CALLS[name](mode.from_tensor(x))
        assert type(fake).__name__ == "FakeTensor"
        assert (fake.shape, fake.dtype) == (real.shape, real.dtype)
        assert fake.stride() == real.stride()


IMAGES = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(3))
PIXELS = torch.randint(3, (2, 4, 5), generator=torch.Generator().manual_seed(4))
ON_CHANNELS = {
    "softmax": lambda x: softmaxlib.softmax(x, axis=1),
    "logsumexp": lambda x: softmaxlib.logsumexp(x, axis=1),
    "cross_entropy": lambda x: softmaxlib.cross_entropy(x, PIXELS, axis=1, reduction="none"),
    "torch.softmax": lambda x: ours.softmax(x, 1),
    "torch.sparsemax": lambda x: ours.sparsemax(x, 1),
    "torch.cross_entropy": lambda x: ours.cross_entropy(x, PIXELS, reduction="none"),
}


@pytest.mark.parametrize("name", ON_CHANNELS)
def test_images_with_their_channels_last_keep_values_gradients_and_layout(name):
    call, x = ON_CHANNELS[name], IMAGES.to(memory_format=torch.channels_last)
    real = call(x)
    torch.testing.assert_close(real, call(IMAGES))
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(compiled, real)
    assert compiled.stride() == real.stride()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = call(mode.from_tensor(x))
    assert (fake.shape, fake.stride()) == (real.shape, real.stride())
    found = [
        torch.autograd.grad((call(leaf) ** 2).sum(), leaf)[0]
        for leaf in (x.requires_grad_(), IMAGES.clone().requires_grad_())
    ]
    torch.testing.assert_close(*found)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # by PyTorch's own Inductor
@pytest.mark.skipif(shutil.which("c++") is None, reason="Inductor compiles with a C++ compiler")
def test_inductor_compiles_what_stands_around_a_function():
    def step(x):
        return 2 * softmaxlib.softmax(x + 1, where=MASK)

    torch.compiler.reset()
    compiled = torch.compile(step, fullgraph=True, options={"compile_threads": 1})
    found = []
    for call in (compiled, step):
        leaf = X.clone().requires_grad_()
        result = call(leaf)
        found.append((result.detach(), *torch.autograd.grad((result**2).sum(), leaf)))
    torch.testing.assert_close(*found)


def test_tangents_are_those_of_finite_differences(name):
    if name in NO_GRADIENT | OF_FLOAT32_WEIGHTS:
        return
    x, tangent, step = X.double(), TANGENT.double(), 1e-6
    _, found = torch.func.jvp(CALLS[name], (x,), (tangent,))
    expected = (CALLS[name](x + step * tangent) - CALLS[name](x - step * tangent)) / (2 * step)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_compiled_before_the_shell_is_imported():
    program = (
        "import softmaxlib, torch, sys\n"
        "assert 'softmaxlib.torch' not in sys.modules\n"
        "x = torch.tensor([0.0, 0.0])\n"
        "for function in (softmaxlib.softmax, softmaxlib.hardmax):\n"
        "    print(torch.compile(function, fullgraph=True, backend='eager')(x).tolist())\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[0.5, 0.5]", "[1.0, 0.0]"], done.stderr
