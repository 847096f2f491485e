"""The ways past PyTorch's dispatcher: in use, the same bits, and good citizens of autograd."""

import functools
import os
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch
from interruption import check_control_c_stops

import softmaxlib
import softmaxlib.torch as ours
from softmaxlib.torch._fast_path import choose, fast_path

FUNCTIONS = {"softmax": ours.softmax, "log_softmax": ours.log_softmax, "logsumexp": ours.logsumexp}
LABEL = torch.tensor([0, 3, 1])
CALLS = {**FUNCTIONS, "cross_entropy": lambda x: ours.cross_entropy(x, LABEL)}
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]

each_way = pytest.mark.usefixtures("each_fast_path")


def logits(*shape, dtype=torch.float32, seed=0):
    return (torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 4).to(dtype)


@pytest.fixture(params=CALLS)
def call(request):
    return CALLS[request.param]


def test_the_compiled_module_is_in_use():
    """Every checkout that runs these tests builds it: scripts/_setup, and scripts/build in place."""
    assert os.environ.get("SOFTMAXLIB_TORCH_COMPILED") != "0"
    assert fast_path.compiled, fast_path.description
    assert fast_path.description == f"compiled for PyTorch {torch.__version__}"
    leaf = logits(3, 4).requires_grad_()
    for call in CALLS.values():
        assert call(leaf).grad_fn.name().startswith("Softmaxlib")


def test_another_release_of_pytorch_takes_the_way_in_python(tmp_path):
    there = tmp_path / "_compiled_for_2_0_0.cpython-311-x86_64-linux-gnu.so"
    there.write_bytes(b"not to be loaded")
    chosen = choose("99.1.0+cpu", tmp_path)
    assert not chosen.compiled
    assert chosen.description == "in Python (no _compiled_for_99_1_0_cpu, found _compiled_for_2_0_0)"
    there.unlink()
    assert choose("99.1.0+cpu", tmp_path).description.endswith("built without PyTorch)")


def test_an_environment_variable_switches_it_off():
    program = "import softmaxlib.torch as s; print(s.softmax(__import__('torch').ones(2))); s.show_config()"
    environment = {**os.environ, "SOFTMAXLIB_TORCH_COMPILED": "0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    expected = f"PyTorch {torch.__version__}: CPU tensors in Python (SOFTMAXLIB_TORCH_COMPILED=0)"
    assert done.stdout.splitlines()[:2] == ["tensor([0.5000, 0.5000])", expected], done.stderr


def value_and_gradient(call, x):
    leaf = x.detach().requires_grad_()
    value = call(leaf)
    upstream = torch.linspace(-1, 2, value.numel(), dtype=value.dtype).reshape(value.shape)
    return value.detach(), *torch.autograd.grad(value, leaf, upstream)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [0, 1, -1, (0, 2), [1], None])
@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradients_have_the_same_bits_both_ways(in_both_ways, name, dtype, dim, masked):
    x = logits(4, 6, 5, dtype=dtype)
    options = {"where": torch.rand(6, 1, generator=torch.Generator().manual_seed(2)) > 0.5} if masked else {}
    if name != "logsumexp":
        options["temperature"] = 0.3
    for view in (x, x.transpose(0, 2), x[:, ::2, 1:], x[1:2].expand(3, 6, 5)):
        if masked:
            options["where"] = options["where"][:1]
        call = functools.partial(FUNCTIONS[name], dim=dim, **options)
        compiled, in_python = in_both_ways(functools.partial(value_and_gradient, call, view))
        for one, other in zip(compiled, in_python, strict=True):
            assert one.dtype == other.dtype == dtype
            np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rows", "classes"),
    [(1, 9), (7, 9), (513, 9), (5000, 9), (7, 257), (130, 1024), (9, 2049), (9, 4097), (5, 70_000)],
)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"focal_gamma": 2.0, "z_loss": 0.01}])
def test_a_loss_and_its_gradient_have_the_bits_of_the_numpy_function(dtype, rows, classes, options):
    x = logits(rows, classes, dtype=dtype, seed=rows)
    x[rows // 4] *= 16  # confident
    x[rows // 3, -2:] = 40  # two of the largest
    x.requires_grad_()
    target = torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(rows))
    target[rows // 2 :: 3] = -100
    for reduction in ("mean", "sum"):
        array = ours._operators.view_as_numpy(x)
        expected = softmaxlib.cross_entropy_grad(
            array, target.numpy(), ignore_index=-100, reduction=reduction, **options
        )
        loss = ours.cross_entropy(x, target, reduction=reduction, **options)
        for retained in (True, False):
            (gradient,) = torch.autograd.grad(loss, x, retain_graph=retained)
            assert loss.dtype == gradient.dtype == dtype
            np.testing.assert_array_equal(gradient.double(), expected.grad.astype(np.float64))
        np.testing.assert_array_equal(loss.double().detach(), np.float64(expected.loss))


@pytest.mark.parametrize("classes", [300, 5000])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_loss_has_the_gradient_of_the_numpy_function(classes, special):
    x = logits(4, classes)
    x[1, 5] = special
    x[2] = -np.inf
    x.requires_grad_()
    target = torch.tensor([1, 5, 0, 3])
    expected = softmaxlib.cross_entropy_grad(x.detach().numpy(), target.numpy(), reduction="sum")
    (gradient,) = torch.autograd.grad(ours.cross_entropy(x, target, reduction="sum"), x)
    np.testing.assert_array_equal(gradient, expected.grad)


def test_a_large_result_has_the_bits_of_the_numpy_function_and_owns_resizable_memory():
    x = logits(3000, 2000)
    for view in (x, x.T):
        probabilities = ours.softmax(view)
        np.testing.assert_array_equal(probabilities.numpy(), softmaxlib.softmax(view.numpy()))
        assert probabilities.stride() == view.stride()
    assert ours.softmax(x).resize_(4000, 2000).shape == (4000, 2000)


@each_way
def test_changing_what_backward_needs_is_noticed(call):
    leaf = logits(3, 4).requires_grad_()
    for change_input in (True, False):
        if change_input == (call in (ours.softmax, ours.log_softmax)):
            continue  # these keep their output, the others their input
        x = leaf * 1
        result = call(x)
        (x if change_input else result).add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            result.sum().backward()


def test_changing_the_output_of_an_activation_in_place_is_noticed():
    for function in (ours.softmax, ours.log_softmax):
        result = function(logits(3, 4).requires_grad_())
        result.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            result.sum().backward()


@each_way
def test_the_graph_is_freed_after_backward_unless_retained(call):
    result = call(logits(3, 4).requires_grad_()).sum()
    result.backward(retain_graph=True)
    result.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        result.backward()


@each_way
def test_where_no_gradient_is_recorded(call):
    leaf = logits(3, 4).requires_grad_()
    with torch.no_grad():
        assert call(leaf).grad_fn is None
    with torch.inference_mode():
        assert call(leaf).is_inference()
    assert call(leaf.detach()).grad_fn is None
    assert not call(leaf.detach()).requires_grad


@each_way
def test_hooks_views_and_tensors_that_are_no_leaves(call):
    leaf = logits(6, 4).requires_grad_()
    half = (leaf * 2)[::2]
    (plain,) = torch.autograd.grad(call(half).sum(), half, retain_graph=True)
    half.retain_grad()
    result = call(half)
    seen = []
    result.register_hook(lambda gradient: seen.append(gradient) or gradient * 3)
    result.sum().backward()
    torch.testing.assert_close(half.grad, 3 * plain)
    torch.testing.assert_close(leaf.grad[::2], 6 * plain)
    assert (leaf.grad[1::2] == 0).all()
    assert seen[0].shape == result.shape


@each_way
def test_saved_tensors_go_through_the_hooks_of_checkpointing(call):
    leaf = logits(3, 4).requires_grad_()
    (expected,) = torch.autograd.grad(call(leaf).sum(), leaf)
    packed = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda one: packed.append(one) or len(packed) - 1, packed.__getitem__
    ):
        result = call(leaf)
    torch.testing.assert_close(torch.autograd.grad(result.sum(), leaf)[0], expected, rtol=0, atol=0)
    assert packed
    from torch.utils.checkpoint import checkpoint

    again = checkpoint(call, leaf, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(again.sum(), leaf)[0], expected, rtol=0, atol=0)


@each_way
def test_gradients_of_several_outputs_at_once(call):
    leaf = logits(3, 4).requires_grad_()
    result = call(leaf)
    upstream = torch.rand(5, *result.shape)
    (batched,) = torch.autograd.grad(result, leaf, upstream, is_grads_batched=True, retain_graph=True)
    for one, gradient in zip(upstream, batched, strict=True):
        torch.testing.assert_close(torch.autograd.grad(result, leaf, one, retain_graph=True)[0], gradient)


@each_way
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_backward_graph(call):
    from torch._dynamo import compiled_autograd

    leaf = logits(3, 4).requires_grad_()
    (expected,) = torch.autograd.grad(call(leaf).square().sum(), leaf)
    with compiled_autograd._enable(lambda graph: graph):
        call(leaf).square().sum().backward()
    torch.testing.assert_close(leaf.grad, expected)


@each_way
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_backward_graph_serves_another_input():
    from torch._dynamo import compiled_autograd

    target = torch.tensor([2, 299, 0])
    for seed in range(2):
        leaf = logits(3, 300, seed=seed).requires_grad_()
        (expected,) = torch.autograd.grad(ours.cross_entropy(leaf, target), leaf)
        with compiled_autograd._enable(lambda graph: graph):
            ours.cross_entropy(leaf, target).backward()
        torch.testing.assert_close(leaf.grad, expected)


@each_way
def test_modes_and_subclasses_see_the_operator(call):
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Functions(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            seen.append(str(function))
            return function(*args, **(kwargs or {}))

    class Dispatches(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(str(function))
            return function(*args, **(kwargs or {}))

    class Subclass(torch.Tensor):
        pass

    x = logits(3, 4)
    for mode in (Functions, Dispatches):
        seen.clear()
        with mode():
            call(x)
        assert any(one.startswith("softmaxlib.") for one in seen)
    assert type(call(x.as_subclass(Subclass))) is Subclass
    torch.testing.assert_close(call(torch._neg_view(x)), call(-x))
    if call is not CALLS["cross_entropy"]:  # whose labels are on the CPU
        assert call(x.to("meta")).is_meta


@each_way
@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated")
def test_a_trace_holds_the_operator(call):
    traced = torch.jit.trace(call, logits(3, 4))
    assert "softmaxlib::" in str(traced.graph)
    torch.testing.assert_close(traced(logits(3, 4, seed=1)), call(logits(3, 4, seed=1)))


@each_way
def test_results_are_let_go(call):
    leaf = logits(3, 4).requires_grad_()
    result = call(leaf)
    alive = weakref.ref(result)
    (gradient,) = torch.autograd.grad(result.sum(), leaf)
    gone = weakref.ref(gradient)
    del result, gradient
    assert alive() is None
    assert gone() is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory in use from /proc")
def test_memory_does_not_grow():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    leaf, target = logits(200, 1000).requires_grad_(), torch.zeros(200, dtype=torch.long)
    label_calls = [*FUNCTIONS.values(), lambda x: ours.cross_entropy(x, target)]

    def step():
        for function in label_calls:
            torch.autograd.grad(function(leaf).sum(), leaf)
        with pytest.raises(ValueError, match="target must lie in"):
            ours.cross_entropy(leaf, target + 1000)

    for _ in range(10):
        step()
    before = resident()
    for _ in range(100):
        step()
    assert resident() - before < 20e6  # a leak of one result a step would be 80 MB


@each_way
def test_threads_have_the_same_bits(call):
    leaf = logits(3, 4)
    expected = torch.autograd.grad(call(leaf.requires_grad_()).sum(), leaf)[0]
    wrong = []

    def work():
        mine = leaf.detach().clone().requires_grad_()
        for _ in range(200):
            (gradient,) = torch.autograd.grad(call(mine).sum(), mine)
            if not torch.equal(gradient, expected):
                wrong.append(gradient)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("threads", ["1", "2"])
def test_control_c_stops_a_long_call_within_a_second(threads):
    """Of several seconds: it is over before the interpreter could see the signal by itself."""
    program = """if True:
        import torch, softmaxlib.torch
        x = torch.linspace(-3, 3, 1000, dtype=torch.float64).expand(50_000_000, 1000)
        assert softmaxlib.torch.logsumexp(x[:2000], 1).shape == (2000,)
        print("ready", flush=True)
        try:
            softmaxlib.torch.logsumexp(x, 1)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        assert softmaxlib.torch.logsumexp(x[:2000], 1).shape == (2000,)
        print("works", flush=True)
        """
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": threads},
        text=True,
    )
    check_control_c_stops(process)


def test_the_operators_work_in_a_child_after_fork():
    """OpenMP would wait there for threads that only the parent has: PyTorch's own operators do."""
    program = """if True:
        import os, warnings, torch, softmaxlib.torch as ours
        warnings.simplefilter("ignore", DeprecationWarning)
        x = torch.randn(1000, 1000)
        expected = ours.softmax(x, -1).numpy()
        child = os.fork()
        if not child:
            os._exit(int((ours.softmax(x, -1).numpy() != expected).any()))
        assert os.waitpid(child, 0)[1] == 0
        assert (ours.softmax(x, -1).numpy() == expected).all()
        """
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)


@each_way
def test_a_wrong_argument_is_explained_by_the_operators():
    x = logits(3, 4)
    with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds"):
        ours.softmax(x, 2)
    with pytest.raises(ValueError, match="once"):
        ours.logsumexp(x, (1, 1))
    for dim in (True, (True,), 0.5, np.True_):
        with pytest.raises(TypeError, match="axis must be an int, a tuple of ints or None, got "):
            ours.log_softmax(x, dim)
    with pytest.raises(ValueError, match="broadcast"):
        ours.softmax(x, where=torch.ones(7, dtype=torch.bool))
    with pytest.raises(ValueError, match="got 4 in row 1"):
        ours.cross_entropy(x, torch.tensor([0, 4, -100]))
    with pytest.raises(ValueError, match="reduction"):
        ours.cross_entropy(x, LABEL, reduction="median")


def test_a_label_changed_behind_autograds_back_is_refused_not_read():
    leaf, target = logits(3, 4).requires_grad_(), LABEL.clone()
    loss = ours.cross_entropy(leaf, target)
    target.numpy()[1] = 10**9
    with pytest.raises(ValueError, match="1000000000 in row 1"):
        loss.backward()
