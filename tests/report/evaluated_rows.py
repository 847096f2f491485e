"""Rows of a model that is exactly right, policies fitted on such, and reports as a browser reads them."""

import html.parser

import numpy as np

from softmaxlib import Policy, softmax
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost


def simulated(rows=1000, classes=4, seed=0, sharpness=1.0):
    """Logits whose softmax is exactly right when sharpness is 1."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(rows, classes))
    labels = (softmax(logits).cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    return sharpness * logits, np.minimum(labels, classes - 1)


def fitted(classes=4, **options):
    logits, labels = simulated(1500, classes, seed=9)
    return Policy(TemperatureScaling(), MinimumCost(1 - np.eye(classes), abstain_cost=0.3)).fit(
        logits, labels, **options
    )


class Page(html.parser.HTMLParser):
    """Checks that tags balance, and collects what a browser would see."""

    VOID = frozenset(("meta", "br", "hr", "img", "input", "link"))

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.extend(attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.extend(attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def written(evaluation, tmp_path):
    path = tmp_path / "report.html"
    evaluation.to_html(path)
    return path.read_text("utf-8")
