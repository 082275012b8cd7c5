"""Imaging conditions as interventions: `TABLE[name].fn(key, image, severity, *, family=None) -> image`.

`do(Condition.parse("defocus_blur/2+gaussian_noise/3"))` is the function that applies a whole condition.
"""

from causal_iqa.degradations import structural
from causal_iqa.degradations.condition import (
    CLEAN,
    IMAGENET_C_QUALITY,
    QUANTISE,
    Condition,
    Step,
    check_stored,
    parse_label,
)
from causal_iqa.degradations.frost import FROST_TEXTURE_SCALE, load_frost_textures
from causal_iqa.degradations.intervention import SETS, STAGES, compose, do, do_graded, keep, named_set, stage, step_key
from causal_iqa.degradations.ladder import (
    FAMILIES,
    MAX_SEVERITY,
    MAX_SIZE_RATIO,
    check_severity,
    family_for,
    nearest_family,
)
from causal_iqa.degradations.spec import DegradationSpec
from causal_iqa.degradations.table import TABLE

__all__ = [
    "CLEAN",
    "FAMILIES",
    "FROST_TEXTURE_SCALE",
    "IMAGENET_C_QUALITY",
    "MAX_SEVERITY",
    "MAX_SIZE_RATIO",
    "QUANTISE",
    "SETS",
    "STAGES",
    "TABLE",
    "Condition",
    "DegradationSpec",
    "Step",
    "check_severity",
    "check_stored",
    "compose",
    "do",
    "do_graded",
    "family_for",
    "keep",
    "load_frost_textures",
    "named_set",
    "nearest_family",
    "parse_label",
    "stage",
    "step_key",
    "structural",
]
