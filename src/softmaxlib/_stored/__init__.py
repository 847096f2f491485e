"""Fitted things that are saved: their fields, declared once, and the way to JSON and back."""

from .fields import Array, Boolean, Choice, Field, Integer, Number, OrNone, Schema, Texts
from .stored import Stored

__all__ = [
    "Array",
    "Boolean",
    "Choice",
    "Field",
    "Integer",
    "Number",
    "OrNone",
    "Schema",
    "Stored",
    "Texts",
]
