"""The kernels in Triton without a GPU: their results, and what they are compiled to."""

import re
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

pytest.importorskip("triton")

import torch
from gpu_programs import WAYS, outcome_of
from triton_compiler import FORBIDDEN, compile_kernel, spilled, vector_loads

from softmaxlib.torch import _gpu, show_config
from softmaxlib.torch._eager import is_plain, takes_activation

ARGUMENTS = {"rows": "i32", "classes": "i32", "lane_high": "fp32", "lane_low": "fp32", "flags": "*i8"}
SOFTMAX, LOG_SOFTMAX = 0, 1


@pytest.mark.parametrize("way", WAYS)
def test_results_have_the_bits_of_the_cpu_kernels(way, tmp_path):
    outcome = outcome_of("softmax", tmp_path, way)
    assert outcome["seen"] > 60
    assert outcome["differing"] == []


def test_compiled_kernels_give_the_bits_of_the_cpu_too(tmp_path):
    rows = "special rows of 17", "torch.bfloat16 rows of 600"
    assert outcome_of("softmax", tmp_path, "compiled", "90", *rows) == {"differing": [], "seen": 6}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A function that compiles a kernel for an architecture, with no GPU."""
    from softmaxlib.torch._triton.softmax import rows_kernel

    patch = pytest.MonkeyPatch()
    patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))

    def compile_for(architecture, dtype, warps, **constants):
        types = dict.fromkeys(rows_kernel.arg_names, "fp64") | ARGUMENTS
        types |= dict.fromkeys(("logits", "result", "mask"), f"*{dtype}")
        return compile_kernel(rows_kernel, architecture, warps, types, **constants)

    yield compile_for
    patch.undo()


def constants(function, blocks):
    values = {
        "function": function,
        "blocks": blocks,
        "masked": False,
        "unit_temperature": True,
        "together": 1,
    }
    values |= {"in_a_row": True, "has_tail": False, "whole": 8, "is_long": False, "per_segment": 1}
    return values | {"aligned": 16}


@pytest.mark.parametrize(
    ("architecture", "dtype", "function", "blocks", "warps"),
    [
        (90, "fp32", LOG_SOFTMAX, 8, 4),
        (90, "bf16", SOFTMAX, 8, 4),
        pytest.param(80, "fp32", SOFTMAX, 2, 1, marks=pytest.mark.sweep),
        pytest.param(100, "fp32", SOFTMAX, 8, 4, marks=pytest.mark.sweep),
    ],
)
def test_what_a_kernel_is_compiled_to(compiled, architecture, dtype, function, blocks, warps, tmp_path):
    kernel = compiled(architecture, dtype, warps, **constants(function, blocks))
    code = kernel.asm["ptx"]
    loads = re.findall(r"ld\.global\.(v\d)", code)
    # the logits are loaded as vectors, eight times: a second look would be a second read
    assert len(loads) == 8
    assert not FORBIDDEN.search(code)
    # nine fused multiply-adds a logit in a softmax, seven in a log_softmax, in plain rows and in others;
    # sm_100 takes some of them in pairs, of which one may be idle
    held = 2 * 8 * blocks * 64 // (32 * warps)
    count = len(re.findall(r"fma\.rn\.f32\b", code)) + 2 * len(re.findall(r"fma\.rn\.f32x2\b", code))
    assert 0 <= count - held * (9 if function == SOFTMAX else 7) <= (8 if architecture == 100 else 0)
    assert spilled(kernel, tmp_path) <= 8  # two registers, once in a row


def test_rows_whose_classes_lie_apart_stay_in_the_registers(compiled, tmp_path):
    from softmaxlib.torch._triton.launch import plan

    together, blocks, warps, _ = plan(SOFTMAX, 4096, False)
    apart = {"together": together, "in_a_row": False, "aligned": 1}
    assert spilled(compiled(90, "fp32", warps, **constants(SOFTMAX, blocks) | apart), tmp_path) == 0


@pytest.mark.parametrize("kernel", ["parts_kernel", "chunks_kernel"])
def test_what_the_kernels_for_a_few_long_rows_are_compiled_to(kernel, monkeypatch, tmp_path):
    from softmaxlib.torch._triton import split_rows

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    function = getattr(split_rows, kernel)
    types = dict.fromkeys(function.arg_names, "fp64") | ARGUMENTS | {"parts": "*fp64"}
    types |= dict.fromkeys(("logits", "result", "mask"), "*bf16")
    fixed = {"masked": False, "in_a_row": True, "has_tail": False, "whole": 0, "aligned": 16}
    if kernel == "parts_kernel":
        fixed |= {"softmax": True}
    else:
        fixed |= {"function": LOG_SOFTMAX, "unit_temperature": True, "per_segment": 1}
    made = compile_kernel(function, 90, 4, types, **fixed)
    assert vector_loads(made) >= 8
    assert not FORBIDDEN.search(made.asm["ptx"])
    assert spilled(made, tmp_path) <= 8


def test_a_tensor_that_no_kernel_takes_is_left_to_the_definition():
    body = _gpu.by_kernel("softmax")
    assert body(torch.ones(2, 3, dtype=torch.float64), [-1], 1.0, None) is NotImplemented
    elsewhere = torch.ones(2, 3, dtype=torch.bool, device="meta")
    assert body(torch.ones(2, 3), [-1], 1.0, elsewhere) is NotImplemented
    almost = torch.empty(1, device="meta").expand(2**31 - 1)  # indices of 32 bits would overflow
    assert _gpu.kernels_for("launch", almost) is None
    assert _gpu.kernels_for("launch", torch.empty(1, device="meta").expand(2**31)) is not None


class Recorder:
    """Stands in for a kernel and for what it is compiled to: counts compilations and launches."""

    function = packed_metadata = None

    def __init__(self):
        self.compiled = self.launched = 0

    def __getitem__(self, grid):
        def launch(*arguments, **options):
            self.compiled += bool(options)
            self.launched += 1
            return self

        return launch

    def run(self, *arguments):
        self.launched += 1


def test_a_variant_of_a_kernel_is_looked_up_once_and_never_taken_for_another(monkeypatch):
    from softmaxlib.torch._triton import compiled, launch

    recorder = Recorder()
    monkeypatch.setattr(compiled, "_compiled", {})
    monkeypatch.setattr(launch, "_calls", compiled.Calls())
    monkeypatch.setattr(compiled, "stream_of", lambda device: 0)
    for kernel in ("rows_kernel", "short_rows_kernel", "cancelling_rows_kernel"):
        monkeypatch.setattr(launch, kernel, recorder)
    x = torch.zeros(64 * 1000 + 4)
    rows, mask = x[:64000].view(64, 1000), torch.ones(64, 1000, dtype=torch.bool)
    kinds = [
        lambda: launch.softmax(rows, [-1], 1.0, None),
        lambda: launch.softmax(rows, [-1], 0.5, None),
        lambda: launch.softmax(rows, [-1], 1.0, mask),
        lambda: launch.softmax(rows, [0], 1.0, None),
        lambda: launch.softmax(x[1:64001].view(64, 1000), [-1], 1.0, None),  # off a border
        lambda: launch.softmax(rows[:, :999], [-1], 1.0, None),
        lambda: launch.softmax(rows[:63], [-1], 1.0, None),
        lambda: launch.softmax(rows.half(), [-1], 1.0, None),
        lambda: launch.log_softmax(rows, [-1], 1.0, None),
        lambda: launch.softmax(rows[:, :10], [-1], 1.0, None),
    ]
    for call in kinds + kinds:
        call()
    assert (recorder.compiled, recorder.launched) == (len(kinds), 2 * len(kinds))
    launch.softmax(rows, [-1], 0.7, None)  # a temperature is no constant of a kernel
    assert recorder.compiled == len(kinds)


def test_a_call_that_comes_again_is_launched_without_a_look_at_it(monkeypatch):
    from softmaxlib.torch import _eager_gpu
    from softmaxlib.torch._triton import compiled, launch

    recorder = Recorder()
    for name in ("short_rows_kernel", "parts_kernel", "chunks_kernel"):
        monkeypatch.setattr(launch, name, recorder)
    monkeypatch.setattr(compiled, "_compiled", {})
    monkeypatch.setattr(compiled, "stream_of", lambda device: 0)
    monkeypatch.setattr(launch, "_calls", compiled.Calls())
    monkeypatch.setattr(_eager_gpu, "_again", {})
    monkeypatch.setattr(_eager_gpu, "is_plain", lambda tensor, device: is_plain(tensor, "cpu"))
    monkeypatch.setattr(_eager_gpu, "takes_activation", lambda *call: takes_activation(*call[:3]))
    monkeypatch.setattr(torch._C, "_cuda_getDevice", lambda: -1, raising=False)
    room = torch.zeros(70000)
    short, long = room[:640].view(64, 10), room[: 2 * 30000].view(2, 30000)
    first = _eager_gpu.softmax(short, -1, 1.0, None), _eager_gpu.softmax(long, -1, 1.0, None)
    assert (first[0].shape, first[1].shape, recorder.launched) == (short.shape, long.shape, 3)
    looked_at = []
    monkeypatch.setattr(_eager_gpu, "_run", lambda *call: looked_at.append(call) or NotImplemented)
    assert _eager_gpu.softmax(room[640:1280].view(64, 10), -1, 1.0, None).shape == short.shape
    assert _eager_gpu.softmax(long, -1, 1.0, None).shape == long.shape
    assert (looked_at, recorder.launched) == ([], 6)
    others = [
        (short, 0, 1.0, None),
        (short, True, 1.0, None),
        (short, -1, 2.0, None),
        (short, -1, 1, None),
        (short, [-1], 1.0, None),
        (short, -1, 1.0, short > 0),
        (short.half(), -1, 1.0, None),
        (short.mT, -1, 1.0, None),
        (short[:63], -1, 1.0, None),
        (room[1:641].view(64, 10), -1, 1.0, None),
        (short.clone().requires_grad_(), -1, 1.0, None),
        (torch._neg_view(short), -1, 1.0, None),
    ]
    assert all(_eager_gpu.softmax(*call) is NotImplemented for call in others)
    assert _eager_gpu.log_softmax(*others[0][:1], -1, 1.0, None) is NotImplemented
    with torch.autocast("cpu"):
        assert _eager_gpu.softmax(short, -1, 1.0, None) is NotImplemented
    monkeypatch.setattr(torch._C, "_cuda_getDevice", lambda: 0)
    assert _eager_gpu.softmax(short, -1, 1.0, None) is NotImplemented
    assert recorder.launched == 6


def test_kernels_are_launched_on_the_device_of_the_tensor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    other = SimpleNamespace(is_cuda=True, device=torch.device("cuda", 1))
    assert _gpu.device_of(other).idx == 1
    assert isinstance(
        _gpu.device_of(SimpleNamespace(is_cuda=True, device=torch.device("cuda", 0))), nullcontext
    )
    assert isinstance(_gpu.device_of(torch.ones(2)), nullcontext)


def test_pytorch_for_rocm_takes_the_definitions(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert "ROCm" in _gpu.why_not()


def test_show_config_says_what_tensors_on_a_gpu_take(capsys, monkeypatch):
    show_config()
    told = capsys.readouterr().out
    assert "CUDA tensors: softmax, log_softmax, logsumexp, cross_entropy, linear_cross_entropy, sigm" in told
    assert "the rest (entmax of other orders, derivatives by targets and weights, forward-mode deriv" in told
    monkeypatch.setenv("SOFTMAXLIB_TRITON", "0")
    show_config()
    assert "definitions in tensor operations (SOFTMAXLIB_TRITON=0)" in capsys.readouterr().out


def test_what_takes_long_to_import_waits_until_it_is_needed():
    """The kernels for a tensor on a GPU, PyTorch's compiler, which takes as long as PyTorch, for a graph."""
    program = "import sys, torch, softmaxlib.torch as s; s.softmax(torch.ones(3))"
    program += "; print({'softmaxlib.torch._triton', 'torch._dynamo'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["set()"]
