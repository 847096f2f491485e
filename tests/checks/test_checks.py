"""One rule, one message: bad input gets the same error from every front end."""

import re

import array_api_strict
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

import softmaxlib
import softmaxlib.calibration
import softmaxlib.jax
import softmaxlib.metrics
import softmaxlib.torch
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError

Z = np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 3.0]])
Y = np.array([0, 2])
AxisError = np.exceptions.AxisError


def strict(values):
    return array_api_strict.asarray(np.array(values))


def tensor(values):
    return torch.from_numpy(np.array(values))


def under_jit(module, name):
    """The function on traced arrays: what depends on their values is not known then."""

    def call(x, *others, **options):
        return jax.jit(lambda x: getattr(module, name)(x, *others, **options))(x)

    return call


# name of a front end: its module, its arrays, the names that it has for the logits and the axis
PLAIN = {
    "NumPy": (softmaxlib, np.array, "axis"),
    "array API": (softmaxlib, strict, "axis"),
    "plain on tensors": (softmaxlib, tensor, "axis"),
    "plain on JAX": (softmaxlib, jnp.asarray, "axis"),
    "torch": (softmaxlib.torch, tensor, "dim"),
    "JAX": (softmaxlib.jax, jnp.asarray, "axis"),
    "JAX under jit": (None, jnp.asarray, "axis"),
}
ACTIVATIONS = ("softmax", "log_softmax", "logsumexp", "sparsemax", "entmax")

TEMPERATURE = "temperature must be finite and above 0, got {}; for the limit of 0 take the argmax"
# name: functions, changes to the call, error, message
BAD_ACTIVATIONS = {
    "temperature 0": (ACTIVATIONS[:2], {"temperature": 0}, InvalidInputError, TEMPERATURE.format("0.0")),
    "temperature -1": (ACTIVATIONS[:2], {"temperature": -1.0}, InvalidInputError, TEMPERATURE.format("-1.0")),
    "temperature NaN": (
        ACTIVATIONS[:2],
        {"temperature": np.nan},
        InvalidInputError,
        TEMPERATURE.format("nan"),
    ),
    "temperature inf": (
        ACTIVATIONS[:2],
        {"temperature": np.inf},
        InvalidInputError,
        TEMPERATURE.format("inf"),
    ),
    "alpha 0": (
        ("entmax",),
        {"alpha": 0.0},
        InvalidInputError,
        "alpha must be finite and above 0, got 0.0; 1 is softmax, 2 is sparsemax",
    ),
    "axis out of range": (
        ACTIVATIONS,
        {"axis": 2},
        AxisError,
        "axis 2 is out of bounds for array of dimension 2",
    ),
    "axis twice": (
        ACTIVATIONS,
        {"axis": (0, -2)},
        InvalidInputError,
        "axis must name each axis once, got (0, -2); drop the repeated one",
    ),
    "axis no integer": (
        ACTIVATIONS,
        {"axis": 0.5},
        UnsupportedTypeError,
        "axis must be an int, a tuple of ints or None, got 0.5",
    ),
    "axis a bool": (
        ACTIVATIONS,
        {"axis": True},
        UnsupportedTypeError,
        "axis must be an int, a tuple of ints or None, got True",
    ),
    "axes of bools": (
        ACTIVATIONS,
        {"axis": (False,)},
        UnsupportedTypeError,
        "axis must be an int, a tuple of ints or None, got (False,)",
    ),
    "mask of integers": (
        ACTIVATIONS,
        {"where": np.ones((2, 3), np.int32)},
        UnsupportedTypeError,
        "where must be a bool mask (True takes part), got dtype int32; compare with != 0",
    ),
    "mask of another shape": (
        ACTIVATIONS,
        {"where": np.ones((2, 2), bool)},
        InvalidInputError,
        "where must broadcast to the shape (2, 3), got shape (2, 2); give it 1 where it is the same",
    ),
    "logits of bool": (
        ACTIVATIONS,
        {"x": Z > 1},
        UnsupportedTypeError,
        "must be real numbers, got dtype bool; convert it to float32 or float64",
    ),
    "logits of complex": (
        ACTIVATIONS,
        {"x": Z.astype(np.complex64)},
        UnsupportedTypeError,
        "must be real numbers, got dtype complex64; convert it to float32 or float64",
    ),
}


def call_activation(front_end, name, x=Z, **options):
    module, array, axis = PLAIN[front_end]
    if "where" in options:
        options["where"] = array(options["where"])
    if "axis" in options:
        options[axis] = options.pop("axis")
    function = under_jit(softmaxlib.jax, name) if module is None else getattr(module, name)
    return function(array(x), **options)


@pytest.mark.parametrize("front_end", PLAIN)
@pytest.mark.parametrize("case", BAD_ACTIVATIONS)
def test_activations_refuse_alike(case, front_end):
    names, options, error, message = BAD_ACTIVATIONS[case]
    for name in names:
        with pytest.raises(error, match=re.escape(message)):
            call_activation(front_end, name, **options)


@pytest.mark.parametrize("front_end", [*PLAIN][:-1])
@pytest.mark.parametrize("name", ACTIVATIONS[:2])
@pytest.mark.parametrize("temperature", [[[1.0], [0.0]], [1.0, np.nan]])
def test_temperatures_of_rows_are_refused_alike(front_end, name, temperature):
    place = np.argwhere(~(np.array(temperature) > 0))[0].tolist()
    place = f"({place[0]}, {place[1]})" if len(place) == 2 else place[0]
    with pytest.raises(InvalidInputError, match=re.escape(f"at {place}; for the limit of 0 take the argmax")):
        call_activation(front_end, name, temperature=np.array(temperature))
    with pytest.raises(
        InvalidInputError, match=re.escape("one per row: of shape (2,) or broadcasting to (2, 1)")
    ):
        call_activation(front_end, name, temperature=np.ones(3))


@pytest.mark.parametrize("options", [{"dtype": "float32"}, {"sink": 0.0}], ids=str)
@pytest.mark.parametrize("array", [np.array, strict, tensor, jnp.asarray])
@pytest.mark.parametrize("temperature", [0, -1.0, np.nan, torch.tensor(-1.0), np.array(0.0)], ids=str)
def test_a_temperature_is_checked_on_every_path(array, options, temperature):
    options = dict(options)
    if "dtype" in options and array is not np.array:
        namespace = {strict: array_api_strict, tensor: torch}.get(array, jnp)
        options["dtype"] = namespace.float32
    if isinstance(temperature, torch.Tensor) and array in (strict, jnp.asarray):  # of another library
        temperature = float(temperature)
    with pytest.raises(InvalidInputError, match="temperature must be finite and above 0"):
        softmaxlib.softmax(array(Z), temperature=temperature, **options)


LOSSES = {name: front_end for name, front_end in PLAIN.items() if name != "JAX under jit"}
RANGE = "target must lie in 0 to 2 (3 classes), got {} in row 1; "
# name: target, changes to the call, error, message
BAD_LOSSES = {
    "label too large": ([0, 3], {}, InvalidInputError, RANGE.format(3)),
    "label negative": ([0, -1], {}, InvalidInputError, RANGE.format(-1)),
    "labels of floats": (
        [0.0, 1.0],
        {},
        UnsupportedTypeError,
        "target must be integer class indices, got dtype float64; for class probabilities",
    ),
    "labels of another shape": (
        [0, 1, 2],
        {},
        InvalidInputError,
        "target must be class indices of shape (2,) or class probabilities of shape (2, 3), got shape (3,)",
    ),
    "sum 0.9": (
        [[0.5, 0.5, 0.0], [0.5, 0.4, 0.0]],
        {"ignore_index": None},
        InvalidInputError,
        "got the sum 0.9 in row 1; divide the row by its sum",
    ),
    "a negative probability": (
        [[0.5, 0.5, 0.0], [0.5, 0.6, -0.1]],
        {"ignore_index": None},
        InvalidInputError,
        "got the probability -0.1 in row 1; divide the row by its sum",
    ),
    "a weight too few": (
        Y,
        {"class_weight": np.ones(2)},
        InvalidInputError,
        "weight must hold one number per class, shape (3,), got shape (2,)",
    ),
    "a negative weight": (
        Y,
        {"class_weight": np.array([1.0, -1.0, 1.0])},
        InvalidInputError,
        "weight must be finite and not negative, got -1.0 for class 1",
    ),
    "smoothing 1": (
        Y,
        {"label_smoothing": 1.0},
        InvalidInputError,
        "label_smoothing must lie in [0, 1), got 1.0",
    ),
    "focal -1": (
        Y,
        {"focal_gamma": -1},
        InvalidInputError,
        "focal_gamma must be finite and not negative, got -1",
    ),
    "z NaN": (Y, {"z_loss": np.nan}, InvalidInputError, "z_loss must be finite and not negative, got nan"),
    "reduction": (
        Y,
        {"reduction": "max"},
        InvalidInputError,
        "reduction must be one of mean, sum, none; got 'max'",
    ),
    "ignore_index of a float": (
        Y,
        {"ignore_index": 1.5},
        UnsupportedTypeError,
        "ignore_index must be a whole number, got 1.5",
    ),
    "mask of integers": (
        Y,
        {"where": np.ones((2, 3), np.int32)},
        UnsupportedTypeError,
        "where must be a bool mask (True takes part), got dtype int32",
    ),
    "mask of another shape": (
        Y,
        {"where": np.ones((2, 2), bool)},
        InvalidInputError,
        "where must broadcast to the shape (2, 3), got shape (2, 2)",
    ),
}


@pytest.mark.parametrize("front_end", LOSSES)
@pytest.mark.parametrize("case", BAD_LOSSES)
def test_losses_refuse_alike(case, front_end):
    target, options, error, message = BAD_LOSSES[case]
    module, array, _ = LOSSES[front_end]
    brought = {
        name: array(value) if isinstance(value, np.ndarray) else value for name, value in options.items()
    }
    with jax.enable_x64(True), pytest.raises(error, match=re.escape(message)):
        module.cross_entropy(array(Z), array(np.array(target)), **brought)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("front_end", LOSSES)
def test_labels_of_any_integer_dtype_never_wrap(front_end, dtype):
    module, array, _ = LOSSES[front_end]
    logits, label = np.linspace(0, 9, 600).reshape(2, 300), np.array([5, 120], dtype)
    expected = softmaxlib.cross_entropy_grad(logits, label.astype(np.int64))
    with jax.enable_x64(True):
        loss = module.cross_entropy(array(logits), array(label))
        np.testing.assert_allclose(np.asarray(loss), expected.loss, rtol=1e-13)
        if module is softmaxlib:
            gradient = np.asarray(module.cross_entropy_grad(array(logits), array(label)).grad)
            np.testing.assert_allclose(gradient, expected.grad, rtol=1e-12)
            moved = np.asarray(softmaxlib.margin(array(logits / 9), array(label), scale=1.0, additive=0.5))
            changed = np.argwhere(~np.isclose(moved, logits / 9))
            np.testing.assert_array_equal(changed, [[0, 5], [1, 120]])


@pytest.mark.parametrize("front_end", LOSSES)
def test_a_label_beyond_64_signed_bits_is_refused_as_it_is(front_end):
    module, array, _ = LOSSES[front_end]
    label = np.array([0, 2**63 + 5], np.uint64)
    with jax.enable_x64(True), pytest.raises(InvalidInputError, match="target must lie in 0 to 2"):
        module.cross_entropy(array(Z), array(label))


def test_what_is_no_array_of_the_front_end_is_refused():
    with pytest.raises(UnsupportedTypeError, match="input must be a tensor, got list; make one with torch"):
        softmaxlib.torch.softmax([1.0, 2.0])
    with pytest.raises(UnsupportedTypeError, match="target must be a tensor, got list"):
        softmaxlib.torch.cross_entropy(tensor(Z), [0, 1])
    with pytest.raises(UnsupportedTypeError, match=r"x must be an array of JAX or NumPy, got one of torch"):
        softmaxlib.jax.softmax(tensor(Z))
    with pytest.raises(UnsupportedTypeError, match=r"must be of one library, got target of jax beside torch"):
        softmaxlib.cross_entropy(tensor(Z), jnp.asarray(Y))
    with pytest.raises(UnsupportedTypeError, match=r"must be of one library, got where of torch beside jax"):
        softmaxlib.softmax(jnp.asarray(Z), where=torch.ones(2, 3, dtype=torch.bool))


@pytest.mark.parametrize("function", [softmaxlib.softmax, softmaxlib.sparsemax, softmaxlib.sigmoid])
def test_eight_bits_are_refused(function):
    message = "must be real numbers, got dtype float8_e4m3fn; convert it to float32 or float64"
    values = Z.astype(ml_dtypes.float8_e4m3fn)
    for x in (values, torch.tensor(Z).to(torch.float8_e4m3fn), jnp.asarray(values)):
        with pytest.raises(UnsupportedTypeError, match=message):
            function(x)
    if function is not softmaxlib.sigmoid:
        for module, x in (
            (softmaxlib.torch, torch.tensor(Z).to(torch.float8_e4m3fn)),
            (softmaxlib.jax, values),
        ):
            with pytest.raises(UnsupportedTypeError, match=message):
                getattr(module, function.__name__)(x)


class Marked(torch.Tensor):
    """A subclass of another module than torch's."""


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sparsemax", "hardmax", "sigmoid"])
def test_a_subclass_of_tensor_keeps_kind_and_graph(name):
    x = torch.from_numpy(Z.copy()).as_subclass(Marked).requires_grad_()
    result = getattr(softmaxlib, name)(x)
    assert isinstance(result, torch.Tensor)
    np.testing.assert_allclose(result.detach().numpy(), getattr(softmaxlib, name)(Z), rtol=1e-12, atol=1e-300)
    if name != "hardmax":
        result.sum().backward()
        assert x.grad is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_sum_of_a_target_is_judged_by_the_rounding_of_its_dtype(dtype):
    logits = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    target = softmaxlib.torch.softmax(logits.to(dtype))
    loss = softmaxlib.torch.cross_entropy(logits, target)
    assert torch.isfinite(loss)
    np.testing.assert_allclose(softmaxlib.cross_entropy(logits, target), loss, rtol=1e-6)
    softmaxlib.jax.cross_entropy(
        jnp.asarray(logits.numpy()), jnp.asarray(target.float().numpy()).astype(str(dtype)[6:])
    )
    with pytest.raises(InvalidInputError, match=r"divide the row by its sum$"):
        softmaxlib.torch.cross_entropy(logits, target * 0.97)


def test_rounded_probabilities_in_a_wider_dtype_are_refused_with_the_way_out():
    rounded = softmaxlib.torch.softmax(torch.tensor([[0.0, 0.29]], dtype=torch.bfloat16))
    assert rounded.float().sum() == 0.998046875
    message = (
        "divide the row by its sum, or pass probabilities that were rounded to bfloat16 or float16 in that"
    )
    numbers = rounded.float().numpy()
    for call in (
        lambda: softmaxlib.torch.cross_entropy(torch.zeros(1, 2), rounded.float()),
        lambda: softmaxlib.jax.cross_entropy(jnp.zeros((1, 2)), jnp.asarray(numbers)),
        lambda: softmaxlib.cross_entropy(np.zeros((1, 2)), numbers),
        lambda: softmaxlib.metrics.log_loss(numbers, [0], probabilities=True),
        lambda: softmaxlib.decisions.MostLikely().decide(numbers, probabilities=True),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
    with pytest.raises(InvalidInputError, match=r"if these are logits, apply softmaxlib\.softmax first"):
        softmaxlib.metrics.log_loss([[1.2, -0.2]], [0], probabilities=True)


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp", "cross_entropy_grad"])
def test_out_of_a_wrong_dtype_is_a_type_error_and_of_a_wrong_shape_a_value_error(function):
    arguments = (Z, Y) if function == "cross_entropy_grad" else (Z,)
    call, shape = getattr(softmaxlib, function), (2,) if function == "logsumexp" else (2, 3)
    for out in (np.empty(shape, np.float32), np.empty(shape, np.int64), [0.0], np.ma.zeros(shape)):
        with pytest.raises(UnsupportedTypeError, match="out must"):
            call(*arguments, out=out)
    read_only = np.empty(shape)
    read_only.flags.writeable = False
    for out in (np.empty((5, 5)), read_only):
        with pytest.raises(InvalidInputError, match="out must"):
            call(*arguments, out=out)


def test_layers_refuse_as_their_functions_do():
    message = re.escape(TEMPERATURE.format("0.0"))
    for layer in (softmaxlib.torch.Softmax, softmaxlib.torch.LogSoftmax):
        with pytest.raises(InvalidInputError, match=message):
            layer(temperature=0.0)(tensor(Z))
    with pytest.raises(InvalidInputError, match=re.escape(RANGE.format(3))):
        softmaxlib.torch.CrossEntropyLoss()(tensor(Z), tensor(np.array([0, 3])))
    with pytest.raises(InvalidInputError, match="alpha must be finite and above 0"):
        softmaxlib.torch.Entmax(alpha=0.0)(tensor(Z))


@pytest.mark.parametrize("front_end", LOSSES)
@pytest.mark.parametrize("softcap", [0.0, -1.0, np.nan, np.inf])
def test_a_softcap_and_the_shapes_of_a_layer_are_checked_alike(front_end, softcap):
    module, array, _ = LOSSES[front_end]
    features, weight, target = array(np.ones((2, 4))), array(np.ones((3, 4))), array(Y)
    with pytest.raises(InvalidInputError, match=f"softcap must be finite and above 0, got {softcap}"):
        module.linear_cross_entropy(features, weight, target, softcap=softcap)
    with pytest.raises(InvalidInputError, match=r"target must be class indices of the shape of features"):
        module.linear_cross_entropy(features, weight, target[:1])
