"""The former name of `causal_iqa.estimators`, kept for one release."""

import warnings

from causal_iqa import estimators
from causal_iqa.estimators import *  # noqa: F403

warnings.warn(
    "causal_iqa.rivals is called causal_iqa.estimators now; the former name goes with the next release",
    DeprecationWarning,
    stacklevel=2,
)
RivalSpec = estimators.EstimatorSpec
