"""Arrays without one number per place are refused by name, and a mask is never passed over in silence."""

import pytest
import scipy.sparse

pytest.importorskip("torch.nn")

import torch

import softmaxlib
import softmaxlib.torch
from softmaxlib import metrics
from softmaxlib.errors import UnsupportedTypeError

NUMBERS = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]])
LABELS = torch.tensor([0, 1])

KINDS = {
    "COO": (lambda: NUMBERS.to_sparse(), r"layout torch\.sparse_coo; convert it with \.to_dense"),
    "CSR": (lambda: NUMBERS.to_sparse_csr(), r"layout torch\.sparse_csr; convert it with \.to_dense"),
    "oneDNN": (lambda: NUMBERS.to_mkldnn(), r"layout torch\._mkldnn; convert it with \.to_dense"),
    "nested": (
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        r"a nested tensor; fill it up with torch\.nested\.to_padded_tensor",
    ),
    "masked": (
        lambda: torch.masked.masked_tensor(NUMBERS, NUMBERS > 0),
        r"a masked tensor; pass its \.get_data\(\), and its \.get_mask\(\) as `where`",
    ),
    "quantized": (
        lambda: torch.quantize_per_tensor(NUMBERS, 0.1, 0, torch.qint8),
        r"dtype torch\.qint8; convert it with \.dequantize\(\)",
    ),
}
OF_TENSORS = {
    "softmax": softmaxlib.torch.softmax,
    "log_softmax": softmaxlib.torch.log_softmax,
    "logsumexp": softmaxlib.torch.logsumexp,
    "sparsemax": softmaxlib.torch.sparsemax,
    "cross_entropy": lambda x: softmaxlib.torch.cross_entropy(x, LABELS),
    "the target": lambda x: softmaxlib.torch.cross_entropy(NUMBERS, x),
    "linear_cross_entropy": lambda x: softmaxlib.torch.linear_cross_entropy(x, torch.ones(4, 3), LABELS),
    "sigmoid_cross_entropy": lambda x: softmaxlib.torch.sigmoid_cross_entropy(x, NUMBERS / 3),
    "sample": lambda x: softmaxlib.torch.sample(x, seed=1, position=0),
}
OF_ARRAYS = {
    "softmax": softmaxlib.softmax,
    "normalize": softmaxlib.normalize,
    "sigmoid": softmaxlib.sigmoid,
    "cross_entropy": lambda x: softmaxlib.cross_entropy(x, LABELS),
    "accuracy": lambda x: metrics.accuracy(x, LABELS),
    "TemperatureScaling": lambda x: softmaxlib.calibration.TemperatureScaling().fit(x, LABELS),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:The PyTorch API of (Masked|nested):UserWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("functions", [OF_TENSORS, OF_ARRAYS], ids=["tensors", "arrays"])
def test_a_tensor_that_is_not_dense(kind, functions):
    make, message = KINDS[kind]
    for call in functions.values():
        with pytest.raises(UnsupportedTypeError, match=rf" must be dense, got .*{message}"):
            call(make())


@pytest.mark.parametrize("call", OF_ARRAYS.values(), ids=OF_ARRAYS)
def test_a_sparse_matrix(call):
    message = r" must be dense, got a sparse csr_array; convert it with \.toarray\(\)$"
    with pytest.raises(UnsupportedTypeError, match=message):
        call(scipy.sparse.csr_array(NUMBERS.numpy()))


def test_a_tensor_without_numbers():
    with pytest.raises(UnsupportedTypeError, match="must have numbers, got a tensor on the device meta"):
        metrics.accuracy(NUMBERS.to("meta"), LABELS)
    with pytest.raises(UnsupportedTypeError, match="logits must be real numbers, got dtype float8_e5m2"):
        metrics.accuracy(NUMBERS.to(torch.float8_e5m2), LABELS)
