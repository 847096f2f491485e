"""The JSON Schema of policy files, published as ``docs/policy.schema.json``."""

from .. import _json
from .._stored import Array, Choice, Integer, Number, OrNone, Schema, Stored
from .._stored.fields import object_schema
from ..calibration import Calibration
from ..decisions import Rule
from .figures import Figures
from .record import PARTS

_TEXT: Schema = {"type": "string", "maxLength": 1000}
_COUNT = Integer()


def policy_schema() -> Schema:
    """Describe the files of `Policy` and `MultilabelPolicy`, with every calibration and rule of this library.

    What one field says of another (a matrix of as many rows as there are classes, a bound that holds) is no
    matter of a schema: `Policy.load` checks that too.
    """
    many = {
        "class": {"const": "MultilabelPolicy"},
        "version": {"enum": list(_json.VERSIONS)},
        "class_names": {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
        "policies": {"type": "array", "items": {"$ref": "#/$defs/policy"}, "minItems": 1},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A policy of softmaxlib",
        "oneOf": [{"$ref": "#/$defs/policy"}, {"$ref": "#/$defs/multilabel_policy"}],
        "$defs": {
            "policy": _policy(),
            "multilabel_policy": object_schema(many),
            "calibration": _any_of(Calibration),
            "rule": _any_of(Rule),
        },
    }


def _policy() -> Schema:
    properties = {
        "class": {"const": "Policy"},
        "version": {"enum": list(_json.VERSIONS)},
        "class_names": {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
        "probability_floor": OrNone(Number(lower=5e-324, upper=0.5)).schema(),
        "calibration": {"$ref": "#/$defs/calibration"},
        "rule": {"$ref": "#/$defs/rule"},
        "record": _record(),
    }
    return object_schema(properties)


def _any_of(kinds: type[Stored]) -> Schema:
    """Return the schema of any class of the library. Classes of users are unknown here."""
    own = [kind for kind in kinds.of_command_line().values() if kind.__module__.startswith("softmaxlib.")]
    return {"oneOf": [kind.schema() for kind in sorted(own, key=lambda kind: kind.__name__)]}


def _record() -> Schema:
    figures = {name: _COUNT.schema() if name == "rows" else Number(lower=0).schema() for name in _FIGURES}
    bins = Array(("any",)).schema()
    reliability: dict[str, Schema] = dict.fromkeys(("edges", "counts", "confidences", "hits"), bins)
    losses = object_schema(dict.fromkeys(("cells", "counts"), Array(("any",), kind="i").schema()))
    properties = {
        "fitted_at": _TEXT,
        "input": Choice(("logits", "probabilities")).schema(),
        **dict.fromkeys(("rows", "calibration_rows", "rule_rows"), _COUNT.schema()),
        "split": Choice(("random", "given", "none")).schema(),
        "random_state": _COUNT.schema(),
        "versions": {"type": "object", "additionalProperties": _TEXT},
        "before": object_schema(figures),
        "after": object_schema(figures),
        "reliability": object_schema(reliability),
        "abstained": Number(lower=0, upper=1).schema(),
        "losses": {"anyOf": [{"type": "null"}, losses]},
        "effective_rows": OrNone(Number(lower=0)).schema(),
        "sampled_from": OrNone(_COUNT).schema(),
        "sampled": {"type": "array", "items": Choice(PARTS).schema(), "maxItems": len(PARTS)},
    }
    return object_schema(properties, optional=("losses", "effective_rows", "sampled_from", "sampled"))


_FIGURES = tuple(Figures.__dataclass_fields__)

if __name__ == "__main__":
    print(_json.as_text(policy_schema()))
