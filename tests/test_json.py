import base64
import json
import sys

import numpy as np
import pytest

from softmaxlib import _json as J
from softmaxlib.errors import FileFormatError


@pytest.mark.parametrize(
    "array",
    [
        np.array([0.1, -0.0, 5e-324, 1.7e308]),
        np.array([[1.5, 2.5]], np.float32),
        np.array([np.inf, -np.inf, 0.1 + 0.2]),
        np.array([[[-(2**63)], [2**63 - 1]]]),
        np.random.default_rng(0).standard_normal((64, 64)),
        np.random.default_rng(0).standard_normal((64, 65)),
        np.random.default_rng(0).standard_normal(500).astype(np.float32),
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.array([True, False]),
        np.arange(5000) % 3 == 0,
        np.where(np.arange(5000) % 3 == 0, np.inf, 0.1),
        np.empty((0, 3)),
        np.array([1.0, 2.0], ">f8"),
        np.arange(8.0).reshape(2, 4)[:, ::-2],
    ],
)
def test_arrays_keep_every_bit_through_json(array: np.ndarray) -> None:
    text = json.dumps(J.encode_array(array), allow_nan=False)
    shape = (None,) * array.ndim
    back = J.decode_array(json.loads(text), "x", kind=array.dtype.kind, shape=shape, finite=False)
    assert back.shape == array.shape
    assert back.tobytes() == array.astype(back.dtype).tobytes()
    assert back.flags.writeable
    assert back.dtype.isnative


def test_a_few_thousand_numbers_can_be_read() -> None:
    cost = J.encode_array([[0, 0.1], [5.0, -np.inf]])
    assert cost == {"dtype": "<f8", "numbers": [[0.0, 0.1], [5.0, "-inf"]]}
    assert J.encode_array([0.5]) == {"dtype": "<f8", "numbers": [0.5]}
    assert "numbers" in J.encode_array(np.ones(4096))
    assert set(J.encode_array(np.ones(4097))) == {"dtype", "shape", "base64"}


def test_a_matrix_has_a_line_for_each_row() -> None:
    content = {"cost": J.encode_array([[0, 1], [5, 0]]), "names": ["a", '"'], "none": [], "more": {}}
    text = J.as_text(content)
    assert json.loads(text) == content
    assert text.splitlines() == [
        "{",
        '  "cost": {',
        '    "dtype": "<i8",',
        '    "numbers": [',
        "      [0, 1],",
        "      [5, 0]",
        "    ]",
        "  },",
        '  "names": ["a", "\\""],',
        '  "none": [],',
        '  "more": {}',
        "}",
    ]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (3, r"a.cost.numbers must be lists of one length, 2 deep"),
        ([1.0, 2.0], r"a.cost.numbers must be lists of one length, 2 deep"),
        ([[1.0], [2.0, 3.0]], r"a.cost.numbers must be lists of one length, 2 deep"),
        ([[1.0, 2.0], 3.0], r"a.cost.numbers must be lists of one length, 2 deep"),
        ([[1.0, [2.0]]], r"a.cost.numbers must be a number, got \[2.0\]"),
        ([[1.0, True]], r"a.cost.numbers must be a number, got True"),
        ([[1.0, "1.0"]], r"a.cost.numbers must be a number, got '1.0'"),
        ([[1.0, 10**400]], r"a.cost.numbers must be finite"),
        ([[1.0, "inf"]], r"a.cost must hold finite numbers, got NaN or infinity"),
        ([[1.0, 2.0, 3.0]], r"a.cost.shape must be \('any', 2\), got \(1, 3\)"),
    ],
)
def test_damaged_numbers_are_refused_by_name(numbers: object, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        J.decode_array({"dtype": "<f8", "numbers": numbers}, "a.cost", shape=(None, 2))


@pytest.mark.parametrize(
    ("kind", "number"), [("<i8", 1.0), ("<i8", 2**63), ("<i8", -(2**63) - 1), ("<i8", True), ("|b1", 1)]
)
def test_whole_numbers_and_flags_are_such(kind: str, number: object) -> None:
    with pytest.raises(FileFormatError, match=r"x\.numbers must be"):
        J.decode_array({"dtype": kind, "numbers": [number]}, "x", kind=kind[1])


def test_objects_are_not_encoded() -> None:
    with pytest.raises(TypeError, match="got dtype object"):
        J.encode_array(np.array([object()]))


GOOD = {"dtype": "<f8", "shape": [2], "base64": base64.b64encode(bytes(16)).decode()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "|O"}, r"a.cost.dtype must be one of kind 'f', got '\|O'"),
        ({"dtype": ["<f8"]}, r"a.cost.dtype must be one of kind 'f'"),
        ({"dtype": "<i8"}, r"a.cost.dtype must be one of kind 'f', got '<i8'"),
        ({"shape": [2, 1]}, r"a.cost.shape must have 1 lengths, got \[2, 1\]"),
        ({"shape": [10**18]}, r"must hold 8000000000000000000 bytes.*got 16"),
        ({"shape": [-2]}, r"a.cost.shape must be an integer in 0 to \d+, got -2"),
        ({"shape": [True]}, r"a.cost.shape must be an integer"),
        ({"shape": "2"}, r"a.cost.shape must have 1 lengths"),
        ({"base64": "!!!!"}, r"a.cost.base64 must be base64 text"),
        ({"base64": "\u00e9"}, r"a.cost.base64 must be base64 text"),
        ({"base64": 3}, r"a.cost.base64 must be base64 text, got 3"),
        ({"base64": ""}, r"must hold 16 bytes, as its shape and dtype say, got 0"),
        ({"base64": base64.b64encode(bytes(24)).decode()}, r"must hold 16 bytes, .* say, got 24"),
        ({"base64": base64.b64encode(bytes(17)).decode()}, r"must hold 16 bytes, .* say, got 17"),
        ({"base64": base64.b64encode(np.array([1, np.nan]).tobytes()).decode()}, r"must hold finite numbers"),
        ({"more": 1}, r"a.cost has an unknown field 'more'"),
    ],
)
def test_a_damaged_array_is_refused_by_name(change: dict, message: str) -> None:
    assert J.decode_array(GOOD, "a.cost").shape == (2,)
    with pytest.raises(FileFormatError, match=message):
        J.decode_array({**GOOD, **change}, "a.cost")


def test_wrong_length_and_bool_bytes() -> None:
    for stored in (J.encode_array([[1.0, 2.0]]), GOOD | {"shape": [1, 2]}):
        with pytest.raises(FileFormatError, match=r"x.shape must be \('any', 3\), got \(1, 2\)"):
            J.decode_array(stored, "x", shape=(None, 3))
    bad = {"dtype": "|b1", "shape": [2], "base64": base64.b64encode(b"\x01\x07").decode()}
    with pytest.raises(FileFormatError, match="only true and false"):
        J.decode_array(bad, "x", kind="b")


def test_an_array_of_nothing_has_the_lengths_of_an_array() -> None:
    of_nothing = {"dtype": "<f8", "shape": [0, 2**31], "base64": ""}
    assert J.decode_array(of_nothing, "x", shape=(None, None)).shape == (0, 2**31)
    with pytest.raises(FileFormatError, match=r"x.shape must be that of an array, got \(0, 2147483649\)"):
        J.decode_array(of_nothing | {"shape": [0, 2**31 + 1]}, "x", shape=(None, None))


def test_fields_must_match_exactly() -> None:
    assert J.check_fields({"a": 1}, "rule", ["a"]) == {"a": 1}
    with pytest.raises(FileFormatError, match="rule has no field 'b'; the file is damaged"):
        J.check_fields({"a": 1}, "rule", ["a", "b"])
    with pytest.raises(FileFormatError, match=r"rule must be a JSON object, got \[\]"):
        J.check_fields([], "rule", ["a"])


def test_only_registered_classes_are_found() -> None:
    registry = {"MostLikely": dict}
    assert J.find_class({"class": "MostLikely", "version": 1}, "rule", registry) is dict
    with pytest.raises(FileFormatError, match=r"rule.class must be one of MostLikely; got 'os.system'"):
        J.find_class({"class": "os.system", "version": 1}, "rule", registry)
    with pytest.raises(FileFormatError, match=r"rule.class must be one of"):
        J.find_class({"class": ["MostLikely"], "version": 1}, "rule", registry)
    with pytest.raises(FileFormatError, match=r"rule.version must be one of 1, 2, got 3; .*newer softmaxlib"):
        J.find_class({"class": "MostLikely", "version": 3}, "rule", registry)
    with pytest.raises(FileFormatError, match=r"rule.version must be one of 1, 2, got True; .*damaged"):
        J.find_class({"class": "MostLikely", "version": True}, "rule", registry)
    with pytest.raises(FileFormatError, match="rule must be a JSON object, got None"):
        J.find_class(None, "rule", registry)


@pytest.mark.parametrize("value", ["1", True, None, float("nan"), float("inf"), 10**400, -1])
def test_numbers_are_finite_and_in_range(value: object) -> None:
    with pytest.raises(FileFormatError, match="T must be"):
        J.decode_number(value, "T", lower=0)


def test_the_ends_of_a_range_belong_to_it() -> None:
    assert J.decode_number(0, "T", lower=0, upper=1) == 0
    assert J.decode_number(1, "T", lower=0, upper=1) == 1
    assert J.decode_number(sys.float_info.max, "T") == sys.float_info.max
    assert J.decode_integer(3, "n", lower=3, upper=3) == 3
    for value in (np.nextafter(0, -1), np.nextafter(1, 2)):
        with pytest.raises(FileFormatError, match="T must be finite and in 0 to 1"):
            J.decode_number(float(value), "T", lower=0, upper=1)
    for value in (2, 4):
        with pytest.raises(FileFormatError, match=f"n must be an integer in 3 to 3, got {value}"):
            J.decode_integer(value, "n", lower=3, upper=3)


def test_a_long_value_is_cut_in_the_message_and_a_short_one_is_not() -> None:
    for length in (78, 79):  # with its quotes 80 and 81 characters
        with pytest.raises(FileFormatError) as raised:
            J.decode_choice("x" * length, "s", ("lac",))
        shown = str(raised.value).split("got ")[1].split("; ")[0]
        assert shown == (f"'{'x' * 78}'" if length == 78 else f"'{'x' * 76}...")


@pytest.mark.parametrize("dtype", ["x" * 5000, {"a": ["\x1b[31m"] * 900}])
def test_a_long_dtype_is_cut_too(dtype: object) -> None:
    with pytest.raises(FileFormatError) as raised:
        J.decode_array({"dtype": dtype, "numbers": [1]}, "x")
    assert len(str(raised.value)) < 200
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([0] * 1000, "[" + "0, " * 25 + "0..."),
        ([0] * 1001, "a list of length 1001"),
        ({str(key): 0 for key in range(1001)}, "a dict of length 1001"),
        pytest.param(10**10_000, "int", id="10,000 digits"),
    ],
)
def test_a_large_value_is_described(value: object, shown: str) -> None:
    with pytest.raises(FileFormatError) as raised:
        J.decode_choice(value, "s", ("lac",))
    assert str(raised.value).split("got ")[1].split("; ")[0] == shown


def test_no_text_holds_what_is_not_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        J.as_text({"risk": [float("nan")]})


def test_a_number_is_no_path() -> None:
    with pytest.raises(TypeError, match=r"os\.PathLike"):
        J.read_json(0, "policy")  # type: ignore[arg-type]


def test_scalars() -> None:
    assert J.decode_number(2, "T", lower=0) == 2.0
    assert J.decode_integer(2, "n", lower=0) == 2
    assert J.decode_boolean(False, "b") is False
    assert J.decode_choice("aps", "s", ("lac", "aps")) == "aps"
    with pytest.raises(FileFormatError, match=r"n must be an integer in 0 to 3, got 4"):
        J.decode_integer(4, "n", lower=0, upper=3)
    with pytest.raises(FileFormatError, match="b must be true or false, got 0"):
        J.decode_boolean(0, "b")
    with pytest.raises(FileFormatError, match=r"s must be one of lac, aps; got 'x{60,}\.\.\."):
        J.decode_choice("x" * 10_000, "s", ("lac", "aps"))


def test_a_byte_order_mark_is_read_over(tmp_path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode())
    assert J.read_json(tmp_path / "a.json", "policy") == {"a": 1}
    (tmp_path / "b.json").write_text(json.dumps({"a": 1}), encoding="utf-16")
    with pytest.raises(
        FileFormatError, match=r"b.json is not a valid policy: not JSON \(.*codec can't decode"
    ):
        J.read_json(tmp_path / "b.json", "policy")
