"""CalibratedHead against the calibrations of NumPy: in PyTorch, exported, and in ONNX Runtime."""

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch

import softmaxlib.torch as ours
from softmaxlib import Policy
from softmaxlib import calibration as calibrations
from softmaxlib.calibration import Auto, Calibration, HistogramBinning, TemperatureScaling, VennAbers
from softmaxlib.decisions import MinimumCost, PredictionSets, SelectiveRisk, Threshold, TopK
from softmaxlib.errors import InvalidInputError, NotFittedError, UnsupportedTypeError

KINDS = [getattr(calibrations, name) for name in calibrations.__all__ if name != "Calibration"]
CALIBRATIONS = [*(kind() for kind in KINDS), HistogramBinning(n_bins=5, scope="top_label")]


def held_out(rows=1000, classes=4):
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=rows)
    return (8 * np.eye(classes)[labels] + 6 * rng.normal(size=(rows, classes))).astype(np.float32), labels


def new_rows():
    """Rows like those of the fit, sure ones, equal ones, and the rows of the fit, on the edges of bins."""
    rng = np.random.default_rng(1)
    sure = np.array([[0, -20, -90, 0.5], [1e4, -1e4, 0, 0], [1, 1, 1, 1], [-1e30, 0, 3e38, -3e38]])
    return np.concatenate([10 * rng.normal(size=(200, 4)), sure, held_out()[0]]).astype(np.float32)


def fitted_and_read_back(calibration):
    return Calibration.from_dict(calibration.fit(*held_out()).to_dict())


@pytest.fixture(scope="module", params=CALIBRATIONS, ids=str)
def fitted(request):
    return fitted_and_read_back(request.param)


def as_rounded_once(calibration, logits):
    """Compute the expected outputs in NumPy, in float64."""
    return calibration.predict_proba(logits.astype(np.float64))


def test_float64_networks_get_the_calibrations_probabilities(fitted):
    head = ours.CalibratedHead(torch.nn.Identity(), fitted)
    logits = new_rows()
    probabilities = head(torch.from_numpy(logits).double())
    np.testing.assert_allclose(probabilities, as_rounded_once(fitted, logits), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_other_networks_get_them_rounded_once(fitted, dtype):
    head = ours.CalibratedHead(torch.nn.Identity(), fitted).to(dtype)
    logits = torch.from_numpy(new_rows()).clamp(-6e4, 6e4).to(dtype)
    probabilities = head(logits)
    assert probabilities.dtype == dtype
    exact = torch.from_numpy(as_rounded_once(fitted, logits.double().numpy())).to(dtype)
    torch.testing.assert_close(probabilities, exact, rtol=torch.finfo(dtype).eps, atol=1e-40)
    assert (probabilities == exact).float().mean() > 0.999


def test_the_choice_of_auto_is_what_runs():
    auto = Auto(cv=2).fit(*held_out())
    logits = torch.from_numpy(new_rows())
    for kind in KINDS:
        if kind is not Auto:
            auto.calibration_ = kind().fit(*held_out())
            alone = ours.CalibratedHead(torch.nn.Identity(), auto.calibration_)
            assert torch.equal(ours.CalibratedHead(torch.nn.Identity(), auto)(logits), alone(logits))


def test_all_that_was_fitted_is_in_the_state(fitted):
    head = ours.CalibratedHead(torch.nn.Linear(6, 4), fitted).half().float()
    again = ours.CalibratedHead(torch.nn.Linear(6, 4), fitted)
    for value in again.state_dict().values():
        value.zero_()
    again.load_state_dict(head.state_dict())
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again(x), head(x))
    assert torch.isfinite(head(x)).all()


def test_gradients_reach_the_inputs_without_nan(fitted):
    logits = torch.from_numpy(new_rows()).double().requires_grad_()
    probabilities = ours.CalibratedHead(torch.nn.Identity(), fitted)(logits)
    if type(fitted) is VennAbers or (
        repr(fitted).startswith("HistogramBinning") and fitted.scope == "classwise"
    ):
        assert not probabilities.requires_grad  # a step has no slope
    else:
        probabilities.square().sum().backward()
        assert torch.isfinite(logits.grad).all()
        assert (logits.grad != 0).any()


def exported(model, width, path, **names):
    """The model's program in PyTorch, and an ONNX Runtime session of it, for any number of rows."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    rows = torch.export.Dim("rows")
    shapes = {"inputs": ({0: rows},)}
    program = torch.export.export(model.eval(), (torch.zeros(3, width),), dynamic_shapes=shapes)
    torch.onnx.export(program, f=path, dynamo=True, verbose=False, optimize=False, **names)
    return program.module(), onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(session, batch):
    return session.run(None, {session.get_inputs()[0].name: batch})


class SideBySide(torch.nn.Module):
    """Several models of the same inputs, whose results are given together."""

    def __init__(self, models):
        super().__init__()
        self.models = torch.nn.ModuleList(models)

    def forward(self, *inputs):
        return tuple(model(*inputs) for model in self.models)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside the exporter
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("first", [0, pytest.param(1, marks=pytest.mark.sweep)])
def test_exported_calibrations_are_those_of_numpy_in_onnx_runtime(first, tmp_path):
    """Every second calibration in one model: the exporter takes seconds for any."""
    all_fitted = list(map(fitted_and_read_back, CALIBRATIONS[first::2]))
    heads = SideBySide([ours.CalibratedHead(torch.nn.Identity(), one) for one in all_fitted])
    program, session = exported(heads, 4, tmp_path / "heads.onnx")
    logits = new_rows()
    results = program(torch.from_numpy(logits)), run(session, logits)
    for calibration, *found in zip(all_fitted, *results, strict=True):
        expected = as_rounded_once(calibration, logits).astype(np.float32)
        for probabilities in found:
            np.testing.assert_allclose(
                probabilities, expected, rtol=1.2e-7, atol=1e-44, err_msg=str(calibration)
            )


def test_a_calibration_of_ones_own_and_one_not_fitted_are_refused():
    class Own(calibrations.Identity):
        def _transform(self, logits):
            return logits[:, ::-1]

    with pytest.raises(UnsupportedTypeError, match="Own can't be exported: it defines _transform"):
        ours.CalibratedHead(torch.nn.Identity(), Own().fit(*held_out()))
    with pytest.raises(NotFittedError, match="must be fitted before use"):
        ours.CalibratedHead(torch.nn.Identity(), TemperatureScaling())


POLICIES = [
    MinimumCost([[0, 1, 0.3], [5, 0, 0.4], [1, 1, -0.5], [2, 0.1, 1]], abstain_cost=0.1),
    SelectiveRisk(0.3),
    TopK(2),
    PredictionSets("raps", penalty_rank=1),
    PredictionSets("aps", groups="rows", allow_empty=False),
]


@pytest.mark.parametrize("rule", POLICIES, ids=repr)
def test_a_policy_behind_a_network_decides_as_it_does_alone(rule):
    logits, labels = held_out()
    groups = {"groups": np.arange(len(logits)) % 2} if rule.takes_groups else {}
    policy = Policy(TemperatureScaling(), rule).fit(logits.astype(np.float64), labels, **groups)
    head = ours.CalibratedHead(torch.nn.Identity(), policy)
    rows = held_out()[0].astype(np.float64)
    group = {"group": torch.arange(len(rows)) % 2} if rule.takes_groups else {}
    found = head(torch.from_numpy(rows), **group)
    assert tuple(found) == head.output_names
    np.testing.assert_allclose(found["calibrated_probabilities"], policy.predict_proba(rows), rtol=1e-12)
    decision = policy.rule.decide(found["calibrated_probabilities"].numpy(), **groups, probabilities=True)
    np.testing.assert_array_equal(found["action"], decision.action)
    np.testing.assert_array_equal(found["abstained"], decision.abstained)
    if decision.sets is not None:
        np.testing.assert_array_equal(found["sets"], decision.sets)
    if decision.expected_cost is not None:
        np.testing.assert_allclose(found["expected_cost"], decision.expected_cost, atol=1e-14)
    rows[1, 2], rows[2, 0] = np.nan, np.inf
    found = head(torch.from_numpy(rows), **group)
    assert found["abstained"][1:3].all()
    assert torch.isnan(found["confidence"][1:3]).all()
    assert head.half()(torch.from_numpy(rows[3:6]).half(), **{k: v[3:6] for k, v in group.items()})[
        "action"
    ].shape == (3,)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_network_and_its_policy_export_as_one_model(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))
    head = ours.CalibratedHead(network, Policy(TemperatureScaling(), POLICIES[3]).fit(*held_out()))
    _, session = exported(head, 6, tmp_path / "model.onnx", output_names=list(head.output_names))
    assert [output.name for output in session.get_outputs()] == list(head.output_names)
    batch = torch.randn(50, 6)
    expected = head(batch)
    for name, values in zip(head.output_names, run(session, batch.numpy()), strict=True):
        np.testing.assert_allclose(values, expected[name].detach(), rtol=1e-5)


def head_of(fitted):
    return ours.CalibratedHead(torch.nn.Identity(), fitted)


def test_integer_logits_are_computed_in_float64_and_bools_refused(fitted):
    logits = torch.tensor([[1, 2, 3, 9], [0, -4, 2, 1]], dtype=torch.int8)
    probabilities = head_of(fitted)(logits)
    assert probabilities.dtype == torch.float64
    np.testing.assert_allclose(probabilities, fitted.predict_proba(logits.numpy()), rtol=1e-12, atol=1e-300)
    with pytest.raises(UnsupportedTypeError, match="logits must be real numbers, got dtype bool"):
        head_of(fitted)(logits > 0)


def binary_rows():
    generator = np.random.default_rng(2)
    labels = generator.integers(2, size=400)
    return (3 * labels - 1.5 + 2 * generator.normal(size=400)), labels


BINARY = [kind() for kind in KINDS]


@pytest.mark.parametrize("calibration", BINARY, ids=str)
def test_one_score_a_row_stands_for_two_classes(calibration):
    scores, labels = binary_rows()
    fitted = calibration.fit(scores, labels)
    expected = fitted.predict_proba(scores)
    for shape in ((-1,), (-1, 1)):
        given = torch.from_numpy(scores).reshape(shape)
        np.testing.assert_allclose(head_of(fitted)(given), expected, rtol=1e-12, atol=1e-300)
    both = np.stack([np.zeros_like(scores), scores], axis=1)
    np.testing.assert_allclose(head_of(fitted)(torch.from_numpy(both)), expected, rtol=1e-12, atol=1e-300)
    given[1], given[3] = np.nan, np.inf
    invalid = torch.isnan(head_of(fitted)(given)).all(1)
    assert invalid.nonzero().flatten().tolist() == [1, 3]


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_a_policy_decides_rows_of_one_score(kind):
    scores, labels = binary_rows()
    scores = scores if kind == "logits" else 1 / (1 + np.exp(-scores))
    given = {"probabilities": kind == "probabilities"}
    policy = Policy(TemperatureScaling(), Threshold(0.8)).fit(scores, labels, **given)
    decision, proba = policy.decide(scores, **given), policy.predict_proba(scores, **given)
    for shape in ((-1,), (-1, 1)):
        found = head_of(policy)(torch.from_numpy(scores).reshape(shape))
        np.testing.assert_array_equal(found["action"], decision.action)
        np.testing.assert_allclose(found["calibrated_probabilities"], proba, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((3, 5), "fit again if this is another model"),
        ((3, 1), "fit again if this is another model"),
        ((3, 2, 4), "reshape what the network returns to (rows, 4)"),
        ((4,), "reshape what the network returns to (rows, 4)"),
        ((), "reshape what the network returns to (rows, 4)"),
    ],
)
def test_logits_of_another_shape_are_refused(fitted, shape, advice):
    policy = Policy(TemperatureScaling(), TopK(2)).fit(*held_out())
    for one in (fitted, policy):
        with pytest.raises(InvalidInputError) as caught:
            head_of(one)(torch.zeros(shape))
        assert str(caught.value) == (
            f"logits must have the 4 classes that {type(one).__name__} was fitted on, in shape (rows, 4), "
            f"got shape {shape}; {advice}"
        )


def test_scores_of_a_binary_model_have_no_further_axes():
    head = head_of(TemperatureScaling().fit(*binary_rows()))
    for shape in ((3, 3), (3, 1, 1), (3, 2, 2)):
        with pytest.raises(InvalidInputError, match="logits must have the 2 classes that TemperatureScaling"):
            head(torch.zeros(shape))


@pytest.mark.parametrize("given", [np.zeros((3, 4)), {"logits": torch.zeros(3, 4)}, [[0.0] * 4]], ids=str)
def test_a_network_that_returns_no_tensor_is_refused(given):
    head = ours.CalibratedHead(torch.nn.Identity(), TemperatureScaling().fit(*held_out()))
    message = f"the network must return logits as one tensor, got {type(given).__name__}; wrap it in a module"
    with pytest.raises(UnsupportedTypeError, match=message):
        head(given)


def test_what_a_rule_needs_of_each_row_is_checked():
    logits, labels = held_out()
    groups = np.arange(len(logits)) % 2
    policy = Policy(TemperatureScaling(), PredictionSets("lac", groups="rows")).fit(
        logits, labels, groups=groups
    )
    head, rows = head_of(policy), torch.from_numpy(logits[:3])
    with pytest.raises(InvalidInputError, match="the rule needs group of each row, got none; pass group="):
        head(rows)
    for wrong in (torch.tensor([0]), torch.zeros(3, 1, dtype=torch.int64)):
        with pytest.raises(InvalidInputError, match=r"group must have one number per row, shape \(3,\), got"):
            head(rows, group=wrong)
    with pytest.raises(UnsupportedTypeError, match="group must be integers, got dtype float32; give the pos"):
        head(rows, group=torch.zeros(3))
    with pytest.raises(UnsupportedTypeError, match="group must be a tensor, got list"):
        head(rows, group=[0, 1, 0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_scores_of_a_binary_model_are_exported_and_compiled_for_any_number_of_rows(tmp_path):
    scores, labels = binary_rows()
    policy = Policy(TemperatureScaling(), Threshold(0.8)).fit(scores, labels)
    head = ours.CalibratedHead(torch.nn.Linear(6, 1), policy)
    program, session = exported(head, 6, tmp_path / "scores.onnx", output_names=list(head.output_names))
    torch.compiler.reset()
    compiled = torch.compile(head, fullgraph=True, dynamic=True, backend="eager")
    for rows in (2, 5):
        batch = torch.randn(rows, 6, generator=torch.Generator().manual_seed(rows))
        expected = head(batch)
        for name, values in zip(head.output_names, run(session, batch.numpy()), strict=True):
            for found in (torch.from_numpy(values), program(batch)[name], compiled(batch)[name]):
                torch.testing.assert_close(found, expected[name], check_dtype=False)
