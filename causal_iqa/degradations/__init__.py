"""Imaging conditions as interventions: `fog(key, image, severity, *, family=None) -> image`, and so 48 of them.

`TABLE[name]` has each function with its description, its parameters and its properties.

`do(Condition.parse("defocus_blur/2+gaussian_noise/3"))` is the function that applies a whole condition.
"""

from causal_iqa.degradations import (
    _atmosphere,
    _blur,
    _colour,
    _compression,
    _digital,
    _elastic,
    _exposure,
    _frost,
    _geometry,
    _glass,
    _jpeg,
    _mosaic,
    _noise,
    _occlusion,
    _optics,
    _point_spread,
    _resolution,
    _sensor,
    _snow,
    _spatter,
    _weather,
    _webp,
    _zoom,
)
from causal_iqa.degradations._atmosphere import *
from causal_iqa.degradations._blur import *
from causal_iqa.degradations._colour import *
from causal_iqa.degradations._compression import *
from causal_iqa.degradations._digital import *
from causal_iqa.degradations._elastic import *
from causal_iqa.degradations._exposure import *
from causal_iqa.degradations._frost import *
from causal_iqa.degradations._geometry import *
from causal_iqa.degradations._glass import *
from causal_iqa.degradations._jpeg import *
from causal_iqa.degradations._mosaic import *
from causal_iqa.degradations._noise import *
from causal_iqa.degradations._occlusion import *
from causal_iqa.degradations._optics import *
from causal_iqa.degradations._point_spread import *
from causal_iqa.degradations._resolution import *
from causal_iqa.degradations._sensor import *
from causal_iqa.degradations._snow import *
from causal_iqa.degradations._spatter import *
from causal_iqa.degradations._weather import *
from causal_iqa.degradations._webp import *
from causal_iqa.degradations._zoom import *
from causal_iqa.degradations.condition import (
    CLEAN,
    IMAGENET_C_QUALITY,
    QUANTISE,
    Condition,
    Step,
    check_stored,
    parse_label,
)
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
    "named_set",
    "nearest_family",
    "parse_label",
    "stage",
    "step_key",
]
__all__ += _atmosphere.__all__
__all__ += _blur.__all__
__all__ += _colour.__all__
__all__ += _compression.__all__
__all__ += _digital.__all__
__all__ += _elastic.__all__
__all__ += _exposure.__all__
__all__ += _frost.__all__
__all__ += _geometry.__all__
__all__ += _glass.__all__
__all__ += _jpeg.__all__
__all__ += _mosaic.__all__
__all__ += _noise.__all__
__all__ += _occlusion.__all__
__all__ += _optics.__all__
__all__ += _point_spread.__all__
__all__ += _resolution.__all__
__all__ += _sensor.__all__
__all__ += _snow.__all__
__all__ += _spatter.__all__
__all__ += _weather.__all__
__all__ += _webp.__all__
__all__ += _zoom.__all__
