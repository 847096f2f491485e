"""The kernels of the playground, run in Node, give the bits that Python gives."""

import base64
import hashlib
import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softmaxlib as sm
from softmaxlib.sampling import Chain, MinP, Stage, Temperature, TopK, TopP

FOLDER = Path(sm.__file__).parent / "playground"
DTYPES = ("float16", "float32", "float64")
LENGTHS = (1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 64, 100, 257, 449, 1000, 4500)
ELEMENTS = 2500


def rows_of(classes: int, dtype: str) -> np.ndarray:
    """Rows of ordinary, spread, tied, tiny and huge logits; some hold -inf, +inf or NaN."""
    generator = np.random.default_rng(classes)
    count = max(1, ELEMENTS // classes // 8)
    ordinary = generator.normal(scale=3, size=(count, classes))
    kinds = [ordinary, 30 * ordinary, np.round(ordinary), 1e-6 * ordinary, 1000 + ordinary]
    special = ordinary.copy()
    special[np.arange(count), generator.integers(classes, size=count)] = generator.choice(
        [-np.inf, np.inf, np.nan], p=[0.8, 0.1, 0.1], size=count
    )
    return np.concatenate([*kinds, special]).astype(dtype)


def hash_of(values: np.ndarray) -> str:
    values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def in_node(node: str, cases: list[dict[str, Any]]) -> list[list[str]]:
    done = subprocess.run(
        [node, Path(__file__).with_name("kernels.mjs"), FOLDER / "page", FOLDER / "kernels.wasm.gz"],
        input=json.dumps([one | {"data": _text(one["data"])} for one in cases]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _text(values: np.ndarray) -> str:
    return base64.b64encode(values.astype(np.float64).tobytes()).decode()


Compute = Callable[[np.ndarray], tuple[np.ndarray, ...]]
Cases = list[tuple[dict[str, Any], Compute]]


def compare(node: str, cases: Cases) -> None:
    answers = in_node(node, [case for case, _ in cases])
    for (case, compute), answer in zip(cases, answers, strict=True):
        with np.errstate(all="ignore"):
            expected = [hash_of(values) for values in compute(case["data"])]
        assert answer == expected, {name: value for name, value in case.items() if name != "data"}


def case(function: str, data: np.ndarray, **arguments: Any) -> dict[str, Any]:
    return {
        "function": function,
        "dtype": data.dtype.name,
        "classes": data.shape[1],
        "data": data,
        **arguments,
    }


def activations(x: np.ndarray) -> Cases:
    cases: Cases = [
        (case("logsumexp", x), lambda x: (sm.logsumexp(x),)),
        (case("sparsemax", x), lambda x: (sm.sparsemax(x),)),
    ]
    for t in (1.0, 0.3, 7.5):
        cases += [
            (case("softmax", x, temperature=t), lambda x, t=t: (sm.softmax(x, temperature=t),)),
            (case("log_softmax", x, temperature=t), lambda x, t=t: (sm.log_softmax(x, temperature=t),)),
        ]
    return cases


def derivatives(x: np.ndarray) -> Cases:
    p = sm.softmax(x)
    tangent = np.roll(p, 1, axis=0) - p[:, ::-1]
    return [(case("softmax_jvp", p, tangent=_text(tangent)), lambda p: (sm.softmax_jvp(p, tangent),))]


def losses(x: np.ndarray) -> Cases:
    labels = np.random.default_rng(1).integers(x.shape[1], size=len(x))

    def loss_and_gradient(x, smoothing):
        loss, gradient = sm.cross_entropy_grad(x, labels, label_smoothing=smoothing, reduction="none")
        return gradient, loss

    return [
        (
            case("cross_entropy", x, labels=labels.tolist(), smoothing=smoothing, scale=1.0),
            partial(loss_and_gradient, smoothing=smoothing),
        )
        for smoothing in (0.0, 0.1)
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bits_are_those_of_python(node, dtype):
    rows = [rows_of(classes, dtype) for classes in LENGTHS]
    compare(node, [one for x in rows for kind in (activations, derivatives, losses) for one in kind(x)])


FILTERS: dict[str, Callable[[float], Stage]] = {
    "temperature": Temperature,
    "top_k": lambda k: TopK(int(k)),
    "top_p": TopP,
    "min_p": MinP,
}


CHAINS = [
    [("temperature", 0.7)],
    [("top_k", 3)],
    [("temperature", 1.5), ("top_p", 0.8)],
    [("min_p", 0.05)],
    [("temperature", 0.9), ("top_k", 10), ("top_p", 0.95), ("min_p", 0.02)],
]


def test_draws(node):
    x = np.random.default_rng(5).normal(scale=2, size=(150, 14))

    def draws(x, filters):
        chain = Chain(*(FILTERS[name](value) for name, value in filters))
        kept = np.isfinite(chain.process(x)).astype(np.float64)
        tokens = [int(chain.sample(row, seed=2024, position=3).token) for row in x]
        assert len(set(tokens)) > 1
        return kept, np.array(tokens, np.float64)

    compare(
        node,
        [
            (case("draw", x, filters=filters, seed=2024, position=3), partial(draws, filters=filters))
            for filters in CHAINS
        ],
    )
