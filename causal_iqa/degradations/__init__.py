"""Imaging conditions as interventions: `TABLE[name].fn(key, image, severity, *, family=None) -> image`."""

from causal_iqa.degradations.ladder import FAMILIES, MAX_SEVERITY, check_severity, family_for
from causal_iqa.degradations.spec import DegradationSpec
from causal_iqa.degradations.table import TABLE

__all__ = ["FAMILIES", "MAX_SEVERITY", "TABLE", "DegradationSpec", "check_severity", "family_for"]
