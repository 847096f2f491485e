"""Prediction sets read back from JSON, field by field."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _json
from ..errors import FileFormatError
from ._conformal_scores import SCORES

_NAME = "PredictionSets"


def decode_settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the constructor."""

    def at(name: str) -> tuple[Any, str]:
        return content[name], f"{_NAME}.{name}"

    groups = content["groups"]
    if isinstance(groups, dict):
        groups = _json.decode_array(*at("groups"), kind="i")
    elif groups is not None:
        groups = _json.decode_choice(*at("groups"), ("class", "rows"))
    return {
        "score": _json.decode_choice(*at("score"), SCORES),
        "alpha": _json.decode_number(*at("alpha")),
        "randomized": _json.decode_boolean(*at("randomized")),
        "allow_empty": _json.decode_boolean(*at("allow_empty")),
        "groups": groups,
        "include_last": _json.decode_boolean(*at("include_last")),
        "penalty": _json.decode_number(*at("penalty")),
        "penalty_rank": _json.decode_integer(*at("penalty_rank"), lower=0),
        "seed": _json.decode_integer(*at("seed"), lower=0),
    }


def decode_fitted(content: Mapping[str, Any], groups: Any) -> dict[str, Any]:
    """What `fit` has set."""
    classes = _json.decode_integer(content["class_count_"], f"{_NAME}.class_count_", lower=2)
    if groups is None:
        count = 1
    elif isinstance(groups, np.ndarray):
        count = int(groups.max()) + 1
    else:
        count = classes if groups == "class" else None
    thresholds = _json.decode_array(
        content["thresholds_"], f"{_NAME}.thresholds_", shape=(count,), finite=False
    )
    sizes = _json.decode_array(
        content["group_sizes_"], f"{_NAME}.group_sizes_", kind="i", shape=(thresholds.size,)
    )
    if np.isnan(thresholds).any() or not thresholds.size or (sizes < 0).any():
        raise FileFormatError(f"{_NAME} has a threshold or a group size that means nothing; {_json.ADVICE}")
    if isinstance(groups, np.ndarray) and groups.size != classes:
        raise FileFormatError(
            f"{_NAME}.groups must have {classes} entries, got {groups.size}; {_json.ADVICE}"
        )
    return {
        "class_count_": classes,
        "thresholds_": thresholds,
        "group_sizes_": sizes,
        "group_names_": _decode_names(
            content["group_names_"], thresholds.size if isinstance(groups, str) and groups == "rows" else None
        ),
    }


def _decode_names(value: Any, count: int | None) -> tuple[str, ...] | None:
    """The names of so many groups of rows; None where there are no such groups."""
    if count is None:
        if value is not None:
            raise FileFormatError(f"{_NAME}.group_names_ must be null without groups of rows; {_json.ADVICE}")
        return None
    names = value if isinstance(value, list) else []
    if len(names) != count or not all(isinstance(name, str) for name in names) or len(set(names)) < count:
        raise FileFormatError(
            f"{_NAME}.group_names_ must hold {count} different texts, one a group; {_json.ADVICE}"
        )
    return tuple(names)
