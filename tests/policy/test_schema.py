"""The published JSON Schema takes every file that a policy writes or wrote, and refuses what it can tell."""

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from softmaxlib import Policy
from softmaxlib.calibration import Calibration
from softmaxlib.decisions import Rule
from softmaxlib.policy.schema import policy_schema

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests/data/policies").glob("*.json"))
PUBLISHED = ROOT / "docs/policy.schema.json"
VALIDATOR = Draft202012Validator(policy_schema())


def test_what_is_published_is_what_the_classes_declare():
    Draft202012Validator.check_schema(policy_schema())
    assert json.loads(PUBLISHED.read_text()) == policy_schema(), (
        "write it anew: python -m softmaxlib.policy.schema > docs/policy.schema.json"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_policy_is_valid_as_it_was_and_as_it_is_written_now(path, tmp_path):
    VALIDATOR.validate(json.loads(path.read_text()))
    Policy.load(path).save(tmp_path / "policy.json")
    VALIDATOR.validate(json.loads((tmp_path / "policy.json").read_text()))


def test_the_library_and_only_the_library_is_described():
    for kinds, name in ((Calibration, "calibration"), (Rule, "rule")):
        described = {one["properties"]["class"]["const"] for one in policy_schema()["$defs"][name]["oneOf"]}
        own = {kind.__name__ for kind in kinds.of_command_line().values() if "softmaxlib" in kind.__module__}
        assert described == own


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 3),
        (("class_names",), ["a", "a", "b"]),
        (("rule", "class"), "os.system"),
        (("rule", "surprise"), 1),
        (("rule", "abstain_cost"), "dear"),
        (("rule", "cost", "numbers"), [0, 1]),
        (("rule", "cost", "numbers"), [[0, "nan"]]),
        (("rule", "cost", "dtype"), "|O"),
        (("calibration", "temperature_"), None),
        (("calibration", "class_count_"), 1),
        (("record", "split"), "by hand"),
        (("record", "abstained"), 1.5),
        (("record", "after", "rows"), -1),
        (("record", "losses", "cells", "numbers"), [0.5]),
    ],
)
def test_what_is_damaged_is_not_valid(place, value, tmp_path):
    Policy.load(ROOT / "tests/data/policies/rule_minimum_cost_abstain.json").save(tmp_path / "policy.json")
    sound = json.loads((tmp_path / "policy.json").read_text())
    VALIDATOR.validate(sound)
    damaged = copy.deepcopy(sound)
    inner = damaged
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert not VALIDATOR.is_valid(damaged)


def test_a_field_that_is_left_out_is_missed():
    sound = json.loads(FILES[0].read_text())
    for name in sound:
        assert not VALIDATOR.is_valid({key: value for key, value in sound.items() if key != name}), name


def test_a_matrix_of_costs_can_be_read_line_by_line(tmp_path):
    Policy.load(ROOT / "tests/data/policies/rule_minimum_cost.json").save(tmp_path / "policy.json")
    lines = [line.strip() for line in (tmp_path / "policy.json").read_text().splitlines()]
    start = lines.index("[0.0, 1.0, 4.0],")
    assert lines[start : start + 3] == ["[0.0, 1.0, 4.0],", "[2.5, 0.0, 1.0],", "[8.0, 0.5, 0.0]"]
