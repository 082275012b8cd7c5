"""The table of the estimators: what predicts accuracy from the judged network's own outputs."""

from causal_iqa import _tables
from causal_iqa.estimators import confidences, distributions, fusion, logits, norms, scatter, stability, transferability

TABLE = _tables.Table(
    "estimator",
    logits.SPECS
    + fusion.SPECS
    + stability.SPECS
    + confidences.SPECS
    + distributions.SPECS
    + transferability.SPECS
    + norms.SPECS
    + scatter.SPECS,
)
