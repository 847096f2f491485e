"""Policy files of every calibration and every rule, as earlier versions saved them, decide as they did."""

from pathlib import Path

import numpy as np
import pytest

from softmaxlib import Policy, softmax
from softmaxlib.calibration import Calibration
from softmaxlib.decisions import Decision, Rule

FOLDER = Path(__file__).parents[1] / "data" / "policies"
FILES = sorted(FOLDER.glob("*.json"))


@pytest.fixture(scope="module")
def decided() -> dict[str, np.ndarray]:
    """The rows, and what the version that saved the policies decided for each."""
    with np.load(FOLDER / "decisions.npz", allow_pickle=False) as file:
        return dict(file)


def decisions_of(policy: Policy, decided: dict[str, np.ndarray]) -> Decision:
    rows = decided["rows"][:, : len(policy.class_names_)]
    if policy.input == "probabilities":
        rows = softmax(rows)
    groups = decided["groups"] if policy.rule.takes_groups else None
    return policy.decide(rows, probabilities=policy.input == "probabilities", groups=groups)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_old_file_decides_the_same_rows_bit_for_bit(path, decided, tmp_path) -> None:
    policy = Policy.load(path)
    policy.save(tmp_path / "again.json")
    for one in (policy, Policy.load(tmp_path / "again.json")):
        decision = decisions_of(one, decided)
        for field, value in decision._asdict().items():
            if field != "labels":
                expected = decided.get(f"{path.stem}.{field}")
                assert (value is None) == (expected is None), field
                if value is not None:
                    assert value.dtype == expected.dtype
                    np.testing.assert_array_equal(value, expected, err_msg=field)


def test_every_calibration_and_every_rule_is_among_them() -> None:
    policies = [Policy.load(path) for path in FILES]
    parts = {type(part) for policy in policies for part in (policy.calibration, policy.rule)}
    for kinds in (Calibration, Rule):
        own = {kind for kind in kinds.of_command_line().values() if kind.__module__.startswith("softmaxlib.")}
        assert own <= parts
