"""Functions that offer a call to a kernel first look and behave like any other function."""

import copy
import gc
import inspect
import operator
import pickle
import pydoc
import sys
import typing
import weakref

import numpy as np
import pytest

import softmaxlib
from softmaxlib import _kernels

KIND = _kernels.KernelFunction
NAMES = [name for name in softmaxlib.__all__ if isinstance(getattr(softmaxlib, name), KIND)]
OF_ELEMENTS = {"sigmoid", "log_sigmoid"}  # they have no axis
LOGITS = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


def arrays_of(function):
    """Return as many logits, or probabilities and a tangent, as the function takes without a name."""
    return (softmaxlib.softmax(LOGITS), LOGITS) if function.__name__.endswith(("jvp", "vjp")) else (LOGITS,)


def test_the_functions_of_one_kernel_are_such_functions():
    assert {"softmax", "log_softmax", "logsumexp", "sparsemax", "softmax_jvp", "log_softmax_vjp"} < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_finds_what_a_function_has(name):
    function = getattr(softmaxlib, name)
    written = inspect.unwrap(function)
    assert inspect.isfunction(written)
    assert inspect.isroutine(function)
    assert repr(function).startswith(f"<function {name} at 0x")
    assert (function.__name__, function.__qualname__, function.__module__) == (name, name, written.__module__)
    assert function.__doc__ == written.__doc__
    assert inspect.signature(function) == inspect.signature(written)
    assert typing.get_type_hints(function) == typing.get_type_hints(written)
    assert inspect.getsource(function) == inspect.getsource(written)
    shown = pydoc.plain(pydoc.render_doc(function))
    assert f"{name}(" in shown
    assert written.__doc__.split("\n")[0] in shown


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_copied_pickled_referred_to_and_named_anew(name):
    function = getattr(softmaxlib, name)
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.copy(function) is copy.deepcopy(function) is function
    assert weakref.ref(function)() is function
    assert {function: 1}[function] == 1
    assert not hasattr(function, "remark")
    function.remark = "mine"
    assert vars(function)["remark"] == "mine"
    del function.remark


@pytest.mark.parametrize("name", NAMES)
def test_it_becomes_a_method(name):
    function = getattr(softmaxlib, name)

    class Model(np.ndarray):
        predict = function

    assert Model.predict is function
    first, *others = arrays_of(function)
    model = first.view(Model)
    np.testing.assert_array_equal(model.predict(*others), function(first, *others))


@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_gives_what_the_function_gives(name):
    function = getattr(softmaxlib, name)
    written, arrays = inspect.unwrap(function), arrays_of(function)
    mask = np.random.default_rng(1).random((4, 5)) < 0.8
    some = {"where": mask, "temperature": 0.7, "dtype": "float64", "keepdims": True, "sink": np.zeros((4, 1))}
    options = [key for key in inspect.signature(function).parameters if key in some]
    if name in OF_ELEMENTS:
        assert function(*arrays).tobytes() == written(*arrays).tobytes()
        return
    calls = [({}, -1), ({}, 0), ({}, (0, 1)), ({}, None)]
    calls += [({key: some[key]}, -1) for key in options]
    calls += [({key: some[key] for key in options}, -1), ({key: some[key] for key in options[:-1]}, 1)]
    for given, axis in calls:
        wanted = written(*arrays, axis, **given)
        for result in (function(*arrays, axis, **given), function(*arrays, axis=axis, **given)):
            assert (result.dtype, result.shape) == (wanted.dtype, wanted.shape)
            assert result.tobytes() == wanted.tobytes(), (given, axis)
    lists = [array.tolist() for array in arrays]
    np.testing.assert_allclose(function(*lists), function(*arrays), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_call_is_refused_by_the_function(name):
    function = getattr(softmaxlib, name)
    written, arrays = inspect.unwrap(function), arrays_of(function)
    first = next(iter(inspect.signature(function).parameters))
    for wrong, options in (
        ((), {}),
        ((), {first: LOGITS}),
        ((*arrays, -1, 1.0), {}),
        ((*arrays, -1), {"axis": -1}),
        (arrays, {"axes": -1}),
        (arrays, {"": -1}),
        (arrays, {"axis": 9}),
        (arrays, {"axis": "rows"}),
        (arrays, {"where": np.ones((3, 3), bool)}),
    ):
        with pytest.raises((TypeError, ValueError, IndexError)) as wanted:
            written(*wrong, **options)
        with pytest.raises(type(wanted.value)) as found:
            function(*wrong, **options)
        assert str(found.value) == str(wanted.value)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OF_ELEMENTS])
def test_names_that_are_other_objects_are_the_same_names(name):
    function = getattr(softmaxlib, name)
    made = "".join(["ax", "is"])
    assert made is not sys.intern(made)
    arrays = arrays_of(function)
    wanted = function(*arrays, axis=0)
    np.testing.assert_array_equal(function(*arrays, **{made: 0}), wanted)
    np.testing.assert_array_equal(operator.call(function, *arrays, **{made: 0}), wanted)


def test_no_reference_is_kept_or_lost():
    x = LOGITS.copy()
    counted = [x, softmaxlib.softmax, _kernels.softmax]
    out = np.empty_like(x)
    gc.collect()
    before = [sys.getrefcount(one) for one in counted]
    for _ in range(100):
        softmaxlib.softmax(x, -1, out=out)
        softmaxlib.softmax(x.tolist())
        with pytest.raises(TypeError):
            softmaxlib.softmax(x, axes=1)
    gc.collect()
    after = [sys.getrefcount(one) for one in counted]
    assert all(abs(b - a) < 50 for a, b in zip(before, after, strict=True)), (before, after)


def test_a_function_that_nothing_holds_is_freed():
    def kernel(*places):
        return NotImplemented

    def function(x):
        return x

    made = KIND(kernel, function, ("x",), (None,), 1, 1)
    made.itself = made
    assert made(3) == 3
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


def test_what_the_kernel_is_given():
    def kernel(*places):
        return NotImplemented if places[0] is None else places

    def function(*args, **kwargs):
        return "function", args, kwargs

    made = KIND(kernel, function, ("x", "y", "z"), (None, 2, 3), 1, 2)
    assert made(1) == (1, 2, 3)
    assert made(1, 5) == made(1, y=5) == (1, 5, 3)
    assert made(1, z=6, y=5) == made(1, 5, z=6) == (1, 5, 6)
    assert made(None, z=6) == ("function", (None,), {"z": 6})
    assert made() == ("function", (), {})
    assert made(1, 2, 3) == ("function", (1, 2, 3), {})
    assert made(1, x=2) == ("function", (1,), {"x": 2})

    def failing(*places):
        raise KeyError(places)

    with pytest.raises(KeyError):
        KIND(failing, function, ("x",), (None,), 1, 1)(1)


@pytest.mark.parametrize(
    "wrong",
    [
        (("x",), (None, None), 1, 1),
        (("x",), (None,), 2, 1),
        (("x",), (None,), -1, 1),
        (("x",), (None,), 1, 2),
        (tuple("abcdefghi"), (None,) * 9, 1, 2),
        (["x"], (None,), 1, 1),
    ],
)
def test_wrong_descriptions_of_a_kernel_are_refused(wrong):
    with pytest.raises((TypeError, ValueError)):
        KIND(print, print, *wrong)


def test_sinks_in_any_form():
    wanted = inspect.unwrap(softmaxlib.softmax)(LOGITS, sink=0.5)
    sinks = [np.full((4, 1), 0.5), np.full((4, 1), 0.5, ">f8"), np.full((4, 1), 0.5, np.float32), 0.5]
    sinks += [np.float64(0.5), np.full(1, 0.5), np.full((8, 2), 0.5)[::2, 1:], np.broadcast_to(0.5, (4, 1))]
    sinks += [[[0.5]] * 4]
    for sink in sinks:
        np.testing.assert_array_equal(softmaxlib.softmax(LOGITS, sink=sink), wanted)
    for number in (0, -3, 2**63, 1e300, np.inf, -np.inf, np.nan):
        for axis in (0, -1, (0, 1), None):
            result = softmaxlib.softmax(LOGITS, axis, sink=number)
            wanted = inspect.unwrap(softmaxlib.softmax)(LOGITS, axis, sink=np.float64(number))
            assert result.tobytes() == wanted.tobytes()
    assert softmaxlib.softmax(np.zeros((2, 0)), sink=0.0).shape == (2, 0)
    for wrong in (np.zeros((4, 5)), np.zeros((3, 1)), np.zeros((4, 1), complex), True, 10**400):
        with pytest.raises((TypeError, ValueError), match="sink"):
            softmaxlib.softmax(LOGITS, sink=wrong)


def test_a_sink_within_the_result_is_read_first():
    x = LOGITS.astype(np.float64)
    memory = np.empty((4, 5))
    memory[:, 0] = np.arange(4.0)
    wanted = softmaxlib.softmax(x, sink=np.arange(4.0)[:, None])
    softmaxlib.softmax(x, sink=memory[:, :1], out=memory)
    np.testing.assert_array_equal(memory, wanted)
