"""Functions from logits to logits: bounds, priors and margins."""

from .adjust_prior import adjust_prior, adjust_prior_vjp
from .margin import margin, margin_vjp
from .softcap import softcap, softcap_vjp

__all__ = ["adjust_prior", "adjust_prior_vjp", "margin", "margin_vjp", "softcap", "softcap_vjp"]
