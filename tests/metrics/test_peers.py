"""Figures of other libraries: the same where the definitions agree, else apart by what the docstring says."""

import runpy
import warnings
from collections.abc import Callable
from importlib.metadata import distribution

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_accuracy,
    multiclass_calibration_error,
)
from torchmetrics.utilities.compute import _auc_compute

from softmaxlib import metrics
from softmaxlib.activations import softmax

from .made import made

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of their imports
    import probmetrics.distributions
    import probmetrics.metrics
    import relplot
    from model_diagnostics.scoring import SquaredError, decompose
    from netcal.metrics import ECE, MCE

# it calls its package "calibration", as a folder of these tests is called
_UTILITIES = distribution("uncertainty-calibration").locate_file("calibration/utils.py")
uncertainty_calibration = runpy.run_path(str(_UTILITIES))

Rows = tuple[np.ndarray, np.ndarray]
EXACT, FLOAT32 = 1e-9, 5e-6


@pytest.fixture(params=["made", "generated", "wideresnet_cifar10", "densenet_cifar100"], scope="module")
def rows(request: pytest.FixtureRequest, real_predictions: Callable[[str], Rows]) -> Rows:
    """Probabilities of six, ten and a hundred classes; no confidence on an edge of a bin."""
    if request.param == "made":
        return made(0, 2000, classes=6, sharpen=1.7)
    logits, labels = real_predictions(request.param)
    return np.minimum(softmax(logits / 2), 1 - 1e-12), labels


@pytest.fixture(scope="module")
def tensors(rows: Rows) -> tuple[torch.Tensor, torch.Tensor, int]:
    return torch.from_numpy(rows[0]), torch.from_numpy(rows[1]), rows[0].shape[1]


def error_of(rows: Rows, **options: object) -> float:
    return metrics.calibration_error(*rows, probabilities=True, **options)


class TestNetcal:
    def test_calibration_error(self, rows: Rows) -> None:
        for bins in (10, 15):
            assert error_of(rows, n_bins=bins) == pytest.approx(ECE(bins).measure(*rows), abs=EXACT)

    def test_largest_gap(self, rows: Rows) -> None:
        assert error_of(rows, norm="max") == pytest.approx(MCE(15).measure(*rows), abs=EXACT)

    def test_equal_mass(self, rows: Rows) -> None:
        """Apart by where equal confidences go and how a rest is shared out, and there is neither here."""
        _, distinct = np.unique(rows[0].max(axis=1), return_index=True)
        whole = distinct[: distinct.size // 15 * 15]
        rows = rows[0][whole], rows[1][whole]
        assert whole.size > 1900
        theirs = ECE(15, equal_intervals=False).measure(*rows)
        assert error_of(rows, binning="equal_mass") == pytest.approx(theirs, abs=EXACT)

    def test_two_classes_are_class_1(self) -> None:
        p, labels = made(1, 2000, classes=2, sharpen=1.7)
        theirs = ECE(15).measure(p[:, 1], labels)
        assert error_of((p, labels), scope="classwise") == pytest.approx(theirs, abs=EXACT)
        assert abs(error_of((p, labels)) - theirs) > 1e-4


class TestTorchmetrics:
    @pytest.mark.parametrize("norm", ["l1", "l2", "max"])
    def test_calibration_error(self, rows: Rows, tensors, norm: str) -> None:
        p, labels, classes = tensors
        theirs = float(multiclass_calibration_error(p, labels, classes, 15, norm))
        assert error_of(rows, norm=norm) == pytest.approx(theirs, abs=FLOAT32)

    @pytest.mark.parametrize("norm", ["l1", "l2", "max"])
    def test_classwise(self, rows: Rows, tensors, norm: str) -> None:
        p, labels, classes = tensors
        ones = np.array(
            [
                float(binary_calibration_error(p[:, k].contiguous(), (labels == k).int(), 15, norm))
                for k in range(classes)
            ]
        )
        theirs = {"l1": ones.mean(), "l2": np.sqrt((ones**2).mean()), "max": ones.max()}[norm]
        assert error_of(rows, scope="classwise", norm=norm) == pytest.approx(theirs, abs=EXACT)

    def test_accuracies(self, rows: Rows, tensors) -> None:
        for k in (1, 3, 5):
            theirs = float(multiclass_accuracy(*tensors, average="micro", top_k=k))
            ours = metrics.top_k_accuracy(*rows, k=k, probabilities=True)
            assert ours == pytest.approx(theirs, abs=1e-7)
        assert metrics.accuracy(*rows, probabilities=True) == pytest.approx(
            float(multiclass_accuracy(*tensors, average="micro")), abs=1e-7
        )

    def test_areas_by_its_trapezoidal_rule(self, rows: Rows) -> None:
        """torch-uncertainty's AURC and AUGRC, which call this rule, are apart by the ends of the curve."""
        p, labels = rows
        doubts, distinct = np.unique(metrics.doubt(p, probabilities=True), return_index=True)
        p, labels = p[distinct], labels[distinct]
        n, wrong = doubts.size, torch.from_numpy(p.argmax(axis=1) != labels).double()
        assert n > 1900
        coverage = torch.arange(1, n + 1) / n
        risk = wrong.cumsum(0) / torch.arange(1, n + 1)
        area, generalised = (
            float(_auc_compute(coverage.double(), y) / (1 - 1 / n)) for y in (risk, risk * coverage)
        )
        aurc = metrics.aurc(p, labels, score=doubts, probabilities=True)
        augrc = metrics.augrc(p, labels, score=doubts, probabilities=True)
        first, last = float(risk[0]), float(risk[-1])
        assert (n * aurc - (first + last) / 2) / (n - 1) == pytest.approx(area, rel=1e-6)
        assert n / (n - 1) * (augrc - first / (2 * n**2)) == pytest.approx(generalised, rel=1e-6)


class TestProbmetrics:
    @pytest.fixture
    def theirs(self, tensors) -> dict[str, float]:
        names = ["logloss", "brier", "accuracy", "ece-15", "rmsce-15", "mce-15", "smece"]
        found = probmetrics.metrics.Metrics.from_names(names).compute_all(
            probmetrics.distributions.CategoricalDirac(tensors[1], tensors[2]),
            probmetrics.distributions.CategoricalLogits(torch.log(tensors[0])),
        )
        return {name: float(value) for name, value in found.items()}

    def test_proper_scores(self, rows: Rows, theirs: dict[str, float]) -> None:
        for name, ours in (("logloss", metrics.log_loss), ("brier", metrics.brier_score)):
            assert ours(*rows, probabilities=True) == pytest.approx(theirs[name], abs=EXACT)
        assert metrics.accuracy(*rows, probabilities=True) == pytest.approx(theirs["accuracy"], abs=1e-7)

    def test_calibration_errors(self, rows: Rows, theirs: dict[str, float]) -> None:
        for name, norm in (("ece-15", "l1"), ("rmsce-15", "l2"), ("mce-15", "max")):
            assert error_of(rows, norm=norm) == pytest.approx(theirs[name], abs=FLOAT32)

    def test_smooth_error(self, rows: Rows, theirs: dict[str, float]) -> None:
        ours = metrics.smooth_calibration_error(*rows, probabilities=True)
        assert ours == pytest.approx(theirs["smece"], abs=1e-3)

    def test_brier_score_of_two_classes(self) -> None:
        p, labels = made(2, classes=2)
        theirs = probmetrics.metrics.BrierLoss().compute(
            probmetrics.distributions.CategoricalDirac(torch.from_numpy(labels), 2),
            probmetrics.distributions.CategoricalProbs(torch.from_numpy(p)),
        )
        assert metrics.brier_score(p, labels, probabilities=True) == pytest.approx(float(theirs), abs=EXACT)


class TestRelplot:
    @pytest.fixture
    def fine(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray, np.ndarray], float]:
        """On a fine mesh, with the width found to 1e-7 and what lies at 0 and 1 reflected as the rest is."""
        monkeypatch.setattr(relplot.config, "smECE_mesh_pts", 4001)
        kernel = relplot.kernels.ReflectedGaussianKernel
        theirs = kernel.convolve

        def convolve(self, values: np.ndarray, points: int) -> np.ndarray:
            weight = np.ones_like(values)
            weight[[0, -1]] = 2
            return theirs(self, weight * values, points)

        monkeypatch.setattr(kernel, "convolve", convolve)
        return lambda p, y: brentq(
            lambda width: relplot.smECE_sigma(p, y, width) - width, 1e-3, 0.5, xtol=1e-7
        )

    def test_as_it_comes(self, rows: Rows) -> None:
        p, labels = rows
        theirs = relplot.smECE(p.max(axis=1), (p.argmax(axis=1) == labels).astype(float))
        ours = metrics.smooth_calibration_error(p, labels, probabilities=True)
        assert ours == pytest.approx(theirs, abs=1e-3)

    def test_with_its_grid_mended(self, rows: Rows, fine: Callable[[np.ndarray, np.ndarray], float]) -> None:
        p, labels = rows
        theirs = fine(p.max(axis=1), (p.argmax(axis=1) == labels).astype(float))
        ours = metrics.smooth_calibration_error(p, labels, probabilities=True)
        assert ours == pytest.approx(theirs, abs=2e-4)


class TestUncertaintyCalibration:
    """The package of "Verified uncertainty calibration", whose ways of debiasing are taken."""

    def theirs(self, rows: Rows, power: int, debiased: bool, mode: str = "top-label") -> float:
        np.random.seed(0)  # noqa: NPY002 (it draws from there)
        return uncertainty_calibration["_get_ce"](
            *rows,
            p=power,
            debias=debiased,
            num_bins=15,
            binning_scheme=uncertainty_calibration["get_equal_prob_bins"],
            mode=mode,
        )

    @pytest.mark.parametrize("debiased", [False, True])
    def test_l2(self, rows: Rows, debiased: bool) -> None:
        theirs = self.theirs(rows, 2, debiased)
        assert error_of(rows, norm="l2", debiased=debiased) == pytest.approx(theirs, abs=EXACT)

    @pytest.mark.parametrize("debiased", [False, True])
    def test_l2_classwise(self, debiased: bool) -> None:
        rows = made(0, 2000, classes=6, sharpen=1.7)
        theirs = self.theirs(rows, 2, debiased, "marginal")
        ours = error_of(rows, scope="classwise", norm="l2", debiased=debiased)
        assert ours == pytest.approx(theirs, abs=EXACT)

    def test_l1_is_what_its_draws_tend_to(self) -> None:
        rows = made(3, 3000, classes=2, sharpen=1.2)  # every bin has rows: it refuses others
        found = self.theirs(rows, 1, True, "marginal")
        plain = error_of(rows, scope="classwise")
        ours = error_of(rows, scope="classwise", debiased=True)
        assert ours < plain - 1e-3
        assert ours == pytest.approx(found, abs=0.1 * (plain - ours) + 5e-4)


class TestModelDiagnostics:
    def test_decomposition(self, rows: Rows) -> None:
        p, labels = rows
        parts = [
            decompose((labels == k).astype(float), p[:, k], scoring_function=SquaredError()).row(
                0, named=True
            )
            for k in range(p.shape[1])
        ]
        ours = metrics.brier_decomposition(p, labels, probabilities=True)
        names = {
            "score": "score",
            "calibration": "miscalibration",
            "resolution": "discrimination",
            "uncertainty": "uncertainty",
        }
        for name, theirs in names.items():
            expected = sum(part[theirs] for part in parts)
            assert getattr(ours, name) == pytest.approx(expected, abs=EXACT), name


def test_every_difference_is_told() -> None:
    """Whoever compares finds the peer's name in the docstring."""
    told = {
        metrics.accuracy: ["scikit-learn", "torchmetrics"],
        metrics.top_k_accuracy: ["scikit-learn", "torchmetrics"],
        metrics.log_loss: ["scikit-learn", "probmetrics"],
        metrics.brier_score: ["scikit-learn", "probmetrics"],
        metrics.brier_decomposition: ["model-diagnostics", "probmetrics"],
        metrics.calibration_error: ["netcal", "torchmetrics", "probmetrics", "scikit-learn"],
        metrics.smooth_calibration_error: ["relplot", "probmetrics"],
        metrics.reliability_curve: ["scikit-learn"],
        metrics.aurc: ["torch-uncertainty"],
        metrics.augrc: ["torch-uncertainty"],
        metrics.average_precision: ["scikit-learn"],
        metrics.balanced_accuracy: ["scikit-learn"],
        metrics.f1_score: ["scikit-learn"],
        metrics.matthews_correlation: ["scikit-learn"],
        metrics.precision: ["scikit-learn"],
        metrics.recall: ["scikit-learn"],
        metrics.roc_auc: ["scikit-learn"],
        metrics.specificity: ["scikit-learn", "torchmetrics"],
    }
    for metric, peers in told.items():
        for peer in peers:
            assert peer in (metric.__doc__ or ""), (metric.__name__, peer)
