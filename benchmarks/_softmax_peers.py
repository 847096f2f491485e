"""The libraries that `softmax.py` compares, each with its own call, on the same threads."""

from collections.abc import Callable

import numpy as np

Case = tuple[str, str, tuple[int, ...], int]
SIGMOIDS = ("sigmoid", "log_sigmoid")
Timed = dict[str, Callable[[], object]]


def prepare(peer: str, case: Case, threads: int) -> tuple[str, Timed]:
    """Return the library's version and its calls: *fresh* and, if it can write into an array, *out*."""
    function, dtype, shape, axis = case
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    if dtype == "bfloat16":
        import ml_dtypes

        x = x.astype(ml_dtypes.bfloat16)
    else:
        x = x.astype(dtype)
    return globals()[f"with_{peer}"](function, x, axis, threads)


def with_softmaxlib(function: str, x: np.ndarray, axis: int, threads: int) -> tuple[str, Timed]:
    import softmaxlib

    call = getattr(softmaxlib, function)
    if function in SIGMOIDS:
        return softmaxlib.__version__, {"fresh": lambda: call(x)}
    out = call(x, axis)
    return softmaxlib.__version__, {"fresh": lambda: call(x, axis), "out": lambda: call(x, axis, out=out)}


def with_copy(function: str, x: np.ndarray, axis: int, threads: int) -> tuple[str, Timed]:
    import torch

    torch.set_num_threads(threads)
    out = np.empty_like(x)
    bits = f"i{x.itemsize}"
    source, target = torch.from_numpy(x.view(bits)), torch.from_numpy(out.view(bits))
    return "", {"numpy": lambda: np.copyto(out, x), "torch": lambda: target.copy_(source)}


def with_numpy(function: str, x: np.ndarray, axis: int, threads: int) -> tuple[str, Timed]:
    def weights() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        top = x.max(axis=axis, keepdims=True)
        shifted = x - top
        e = np.exp(shifted)
        return shifted, e, e.sum(axis=axis, keepdims=True)

    def softmax() -> np.ndarray:
        _, e, total = weights()
        e /= total
        return e

    def log_softmax() -> np.ndarray:
        shifted, _, total = weights()
        return shifted - np.log(total)

    def logsumexp() -> np.ndarray:
        return np.log(weights()[2]).squeeze(axis) + x.max(axis=axis)

    def sigmoid() -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def log_sigmoid() -> np.ndarray:
        return -np.logaddexp(0, -x)

    return np.__version__, {"fresh": locals()[function]}


def with_scipy(function: str, x: np.ndarray, axis: int, threads: int) -> tuple[str, Timed]:
    import scipy
    import scipy.special

    if function in SIGMOIDS:
        of_elements = {"sigmoid": scipy.special.expit, "log_sigmoid": scipy.special.log_expit}[function]
        return scipy.__version__, {"fresh": lambda: of_elements(x)}
    call = getattr(scipy.special, function)
    return scipy.__version__, {"fresh": lambda: call(x, axis=axis)}


def with_torch(function: str, x: np.ndarray, axis: int, threads: int) -> tuple[str, Timed]:
    import torch

    torch.set_num_threads(threads)
    if x.dtype.name == "bfloat16":
        tensor = torch.from_numpy(x.view(np.uint16)).view(torch.bfloat16)
    else:
        tensor = torch.from_numpy(x)
    if function in SIGMOIDS:
        of_elements = torch.sigmoid if function == "sigmoid" else torch.nn.functional.logsigmoid
        return torch.__version__, {"fresh": lambda: of_elements(tensor)}
    call = getattr(torch, function)
    out = call(tensor, axis)
    if function == "logsumexp":
        return torch.__version__, {
            "fresh": lambda: call(tensor, axis),
            "out": lambda: call(tensor, axis, out=out),
        }
    into = torch.ops.aten._softmax.out if function == "softmax" else torch.ops.aten._log_softmax.out
    return torch.__version__, {
        "fresh": lambda: call(tensor, axis),
        "out": lambda: into(tensor, axis, False, out=out),
    }


def with_jax(function: str, x: np.ndarray, axis: int, threads: int) -> tuple[str, Timed]:
    import jax

    jax.config.update("jax_enable_x64", True)
    array = jax.numpy.asarray(x)
    inner = jax.nn.logsumexp if function == "logsumexp" else getattr(jax.nn, function)
    call = jax.jit(inner if function in SIGMOIDS else lambda a: inner(a, axis=axis))
    return jax.__version__, {"fresh": lambda: call(array).block_until_ready()}


def with_onnxruntime(function: str, x: np.ndarray, axis: int, threads: int) -> tuple[str, Timed]:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    if x.dtype.name == "bfloat16":
        raise NotImplementedError("ONNX Runtime has no bfloat16 softmax on the CPU")
    if function == "log_sigmoid":
        raise NotImplementedError("ONNX has no such operator")
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    name = {
        "softmax": "Softmax",
        "log_softmax": "LogSoftmax",
        "logsumexp": "ReduceLogSumExp",
        "sigmoid": "Sigmoid",
    }[function]
    if function == "logsumexp":
        axes = [helper.make_tensor("axes", TensorProto.INT64, [1], [axis])]
        node, shape = helper.make_node(name, ["x", "axes"], ["y"], keepdims=0), x.shape[:-1]
    else:
        options = {} if function == "sigmoid" else {"axis": axis}
        axes, node, shape = [], helper.make_node(name, ["x"], ["y"], **options), x.shape
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        axes,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    out = np.empty(shape, x.dtype)
    binding.bind_cpu_input("x", x)
    binding.bind_output("y", "cpu", 0, x.dtype, shape, out.ctypes.data)
    # Its own arena holds the output of a bound run: what the least possible call costs.
    fresh = session.io_binding()
    fresh.bind_cpu_input("x", x)
    fresh.bind_output("y", "cpu")
    assert onnx.__version__

    def bound(to: object, held: object) -> Callable[[], object]:
        return lambda: (session.run_with_iobinding(to), held)  # which the binding only points to

    return onnxruntime.__version__, {"fresh": bound(fresh, x), "out": bound(binding, (x, out))}
