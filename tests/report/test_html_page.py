import base64
import errno
import hashlib
import os
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from evaluated_rows import Page, fitted, simulated, written

from softmaxlib import Policy, evaluate
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost, PredictionSets
from softmaxlib.report.formats import moment, share


class TestPage:
    def test_says_all_parts_in_order(self, tmp_path):
        logits, labels = simulated()
        evaluation = evaluate(logits, labels, policy=fitted(class_names=["ant", "bee", "cat", "dog"]))
        text = Page(written(evaluation, tmp_path)).text
        places = [
            text.index(part)
            for part in (
                evaluation.verdict.headline,
                "Key figures",
                "Reliability, before calibration",
                "Reliability, after calibration",
                "Mistakes against share decided",
                "Cost against share decided",
                "Does the policy keep its promises",
                "Confusion matrix",
                "Most confident mistakes",
                "Policy fitted",
            )
        ]
        assert places == sorted(places)
        for sentence in evaluation.verdict.sentences:
            assert " ".join(sentence.split()) in text
        assert "TemperatureScaling" in text

    def test_p_values_and_times_as_a_reader_writes_them(self, tmp_path):
        logits, labels = simulated(3000, sharpness=0.4)
        text = Page(written(evaluate(logits, labels, policy=fitted()), tmp_path)).text
        assert "by chance alone" in text
        assert "p-value < 0.001" in text
        assert re.search(r"Policy fitted \d\d [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC on 1,500 rows of logits", text)

    def test_a_time_that_is_none_is_shown_as_it_is(self):
        assert moment("<yesterday>") == "<yesterday>"

    def test_no_share_is_rounded_to_all_or_nothing(self):
        assert [share(value) for value in (0, 2e-9, 0.000334, 0.0004, 0.5, 0.99996, 1 - 2e-16, 1)] == [
            "0.0%",
            "below 0.001%",
            "0.03%",
            "0.04%",
            "50.0%",
            "99.996%",
            "above 99.999%",
            "100.0%",
        ]

    def test_groups_are_listed_and_the_worst_of_many(self, tmp_path):
        logits, labels = simulated(4000)
        wards = np.array([f"ward <{k}>" for k in range(40)])[np.arange(4000) % 40]
        rule = PredictionSets(alpha=0.2, groups="rows")
        policy = Policy(TemperatureScaling(), rule).fit(*simulated(4000, seed=1), groups=wards)
        evaluation = evaluate(logits, labels, policy=policy, groups=wards)
        groups = evaluation.decided.set_groups
        assert [group.name for group in groups] == sorted(set(wards))
        sets = policy.decide(logits, groups=wards).sets
        for group in groups[:5]:
            of_group = wards == group.name
            covered = sets[np.arange(4000), labels][of_group]
            assert (group.rows, group.covered) == (100, covered.sum())
            assert group.classes == sets[of_group].sum()
        text = Page(written(evaluation, tmp_path)).text
        assert "The 30 groups covered worst, of 40" in text
        worst = min(groups, key=lambda group: group.covered)
        assert worst.name in text

    def test_is_self_contained_and_runs_its_own_script_alone(self, tmp_path):
        text = written(evaluate(*simulated()), tmp_path)
        page = Page(text)
        assert not {"link", "img", "iframe", "object", "embed"} & set(page.tags)
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for name, value in page.attributes:
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "data"):
                assert value.startswith("#")
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
            "form-action 'none'"
        )
        assert ("content", policy) in page.attributes

    @pytest.mark.parametrize(
        "name",
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "a & b",
            "$x^{$",
            "{{ 7 * 7 }}",
            "é漢 字",
        ],
    )
    def test_a_class_name_is_shown_and_not_run(self, tmp_path, name):
        logits, labels = simulated()
        text = written(evaluate(logits, labels, class_names=[name, "b", "c", "d"]), tmp_path)
        page = Page(text)
        assert page.tags.count("script") == 1
        assert "img" not in page.tags
        assert " ".join(name.split()) in page.text

    def test_control_characters_do_not_break_it(self, tmp_path):
        logits, labels = simulated()
        text = written(evaluate(logits, labels, class_names=["a\x00\x1b[31m", "b", "c", "d"]), tmp_path)
        for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
            ElementTree.fromstring(drawing)

    def test_drawings_are_sound_and_take_the_pages_colours(self, tmp_path):
        logits, labels = simulated()
        text = written(evaluate(logits, labels, policy=fitted()), tmp_path)
        drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
        assert len(drawings) == 8
        for drawing in drawings:
            root = ElementTree.fromstring(drawing)
            assert root.get("role") == "img"
            assert root.get("aria-label")
            assert not re.findall(r"#[0-9a-f]{6}\b", re.sub(r'"#[^"]*"', "", drawing))
        identifiers = re.findall(r'\bid="([^"]+)"', text)
        assert len(identifiers) == len(set(identifiers))

    @pytest.mark.parametrize("classes", [2, 3, 25, 60])
    def test_any_number_of_classes(self, tmp_path, classes):
        evaluation = evaluate(*simulated(1200, classes), policy=fitted(classes))
        text = Page(written(evaluation, tmp_path)).text
        assert f"{classes} classes" in text
        assert ("Confusion matrix" in text) == (classes <= 40)
        assert ("misstated or recognised worst, of 60" in text) == (classes == 60)

    def test_a_model_without_mistakes(self, tmp_path):
        labels = np.arange(40) % 2
        text = Page(written(evaluate(10 * np.eye(2)[labels], labels), tmp_path)).text
        assert "Most confident mistakes" not in text
        assert "100.0%" in text

    def test_one_row_and_a_class_without_rows(self, tmp_path):
        evaluation = evaluate(np.array([[2.0, 1.0, 0.0]]), [0])
        assert "–" in written(evaluation, tmp_path)

    def test_everything_set_aside(self, tmp_path):
        logits, labels = simulated(200)
        policy = Policy(TemperatureScaling(), MinimumCost(1 - np.eye(4), abstain_cost=-1)).fit(logits, labels)
        evaluation = evaluate(logits, labels, policy=policy)
        assert (
            "sets 100.0% of the rows aside for a human; nothing is decided"
            in Page(written(evaluation, tmp_path)).text
        )

    def test_a_full_disk_leaves_the_old_report(self, tmp_path, monkeypatch):
        path = tmp_path / "report.html"
        path.write_text("old")
        evaluation = evaluate(*simulated(100))

        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            evaluation.to_html(path)
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["report.html"]
