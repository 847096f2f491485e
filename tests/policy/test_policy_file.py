import errno
import json
import os

import numpy as np
import pytest

from softmaxlib import MultilabelPolicy, Policy, softmax
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MostLikely
from softmaxlib.errors import (
    FileFormatError,
)

from .made import fitted, simulated


class TestFile:
    def test_round_trip_keeps_every_bit(self, tmp_path):
        policy = fitted(class_names=["a", "b", "é", "<d>"])
        policy.save(tmp_path / "policy.json")
        again = Policy.load(tmp_path / "policy.json")
        logits, labels = simulated(100, seed=5)
        np.testing.assert_array_equal(again.predict_proba(logits), policy.predict_proba(logits))
        for ours, theirs in zip(again.decide(logits), policy.decide(logits), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert again.class_names_ == policy.class_names_
        assert again.record_.to_dict() == policy.record_.to_dict()
        assert again.audit(logits, labels) == policy.audit(logits, labels)
        assert Policy.is_saved_in(tmp_path / "policy.json")
        assert not MultilabelPolicy.is_saved_in(tmp_path / "policy.json")

    def test_round_trip_on_probabilities(self, tmp_path):
        logits, labels = simulated(100)
        policy = Policy(TemperatureScaling(), MostLikely()).fit(softmax(logits), labels, probabilities=True)
        policy.save(tmp_path / "policy.json")
        given = np.array([[0.0, 0.5, 0.5, 0.0]])
        np.testing.assert_array_equal(
            Policy.load(tmp_path / "policy.json").transform(given, probabilities=True),
            policy.transform(given, probabilities=True),
        )

    def test_a_floor_that_can_not_be_is_refused(self, tmp_path):
        logits, labels = simulated(100)
        path = tmp_path / "policy.json"
        Policy(TemperatureScaling(), MostLikely()).fit(softmax(logits), labels, probabilities=True).save(path)
        content = json.loads(path.read_text())
        for floor, can_be in ((0, False), (5e-324, True), (0.5, True), (0.5 + 1e-9, False)):
            path.write_text(json.dumps(content | {"probability_floor": floor}))
            assert refused(path) != can_be
            if can_be:
                assert Policy.load(path).floor == floor

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("[1, 2]", "must be a JSON object"),
            ("NaN", "NaN is no JSON number"),
            ("[" * 100_000, "not a valid policy"),
            ('{"class": "os.system", "version": 1}', "policy.class must be one of Policy"),
            ('{"class": "Policy", "version": 99}', "version must be one of 1, 2, got 99; .*newer softmaxlib"),
            ('{"class": "Policy", "version": 1}', "has no field"),
            ("\udcff", "not JSON"),
        ],
    )
    def test_what_is_no_policy(self, tmp_path, content, words):
        path = tmp_path / "policy.json"
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(FileFormatError, match=words) as caught:
            Policy.load(path)
        assert str(path) in str(caught.value)
        assert caught.value.__suppress_context__

    def test_every_damaged_value_is_refused(self, tmp_path):
        path = tmp_path / "policy.json"
        fitted().save(path)
        sound = json.loads(path.read_text())

        def damage(value, where):
            """Every way to leave a field out or put something else there."""
            for key in list(value):
                for wrong in ("absent", None, [], -1, 1e400, "x", {"a": 1}):
                    saved = value[key]
                    if wrong == saved or (wrong is None and key == "abstain_cost"):
                        continue
                    if wrong == "absent":
                        del value[key]
                    else:
                        value[key] = wrong
                    yield f"{where}.{key} <- {wrong!r}"
                    value[key] = saved
                if isinstance(value[key], dict):
                    yield from damage(value[key], f"{where}.{key}")

        free = (
            "record.fitted_at <- 'x'",
            "abstain_cost <- -1",
            "versions.",
            "probability_floor",
            "temperature_",
            "record.losses <- 'absent'",  # earlier versions saved none
            "action_names <- 'absent'",  # earlier versions left it out
            "record.losses <- None",
            "record.effective_rows <- 'absent'",
            "record.sampled <- 'absent'",
            "record.sampled_from <- 'absent'",
            "record.sampled_from <- None",
        )
        tried = 0
        for what in damage(sound, "policy"):
            if any(part in what for part in free):
                continue
            path.write_text(json.dumps(sound))
            assert refused(path), f"accepted {what}"
            tried += 1
        assert tried > 150

    def test_a_name_in_the_file_cannot_drive_a_terminal(self, tmp_path):
        path = tmp_path / "policy.json"
        fitted().save(path)
        content = json.loads(path.read_text())
        content["record"]["versions"]["\x1b[31m"] = 3
        path.write_text(json.dumps(content))
        with pytest.raises(FileFormatError, match=r"versions\..* must be a text") as caught:
            Policy.load(path)
        assert str(caught.value).isprintable()

    def test_missing_and_folder(self, tmp_path):
        with pytest.raises(FileFormatError, match="does not exist; check the name"):
            Policy.load(tmp_path / "none.json")
        with pytest.raises(FileFormatError, match="is a folder"):
            Policy.load(tmp_path)
        with pytest.raises(FileFormatError, match=r"the folder .*nowhere does not exist; create it"):
            fitted().save(tmp_path / "nowhere" / "policy.json")

    def test_a_full_disk_leaves_the_old_policy(self, tmp_path, monkeypatch):
        path = tmp_path / "policy.json"
        path.write_text("old")

        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            fitted().save(path)
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["policy.json"]


def refused(path):
    try:
        Policy.load(path)
    except FileFormatError:
        return True
    return False
