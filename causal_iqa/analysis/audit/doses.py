"""The audit's view of doses: do score and performance fall together, and how much of the fall does the score carry?"""

from typing import Any

from causal_iqa import _keys, causal
from causal_iqa.analysis.audit.data import AuditData, Progress, interval, intervals, number


def dose_alignment(data: AuditData, *, progress: Progress | None = None) -> dict[str, Any]:
    """Compares the dose-response curves of every metric with that of performance.

    Args:
      data: of the run.
      progress: called with the metrics done and their number.

    Returns:
      metric -> {"mean", "degradations": name ->} of {"correlation", "order", "area", "shape_area"}, JSON values.
    """
    key = _keys.named(data.config.seed, "audit, doses")
    found = {}
    for done, metric in enumerate(data.metrics, 1):
        each, mean = causal.align_doses(
            key,
            data.outcomes[metric],
            data.outcomes[data.measure.key],
            data.degradations,
            data.severities,
            clean=(data.clean[metric], data.clean[data.measure.key]),
            num_resamples=data.num_resamples,
            level=data.config.level,
        )
        found[metric] = {"mean": _record(mean), "degradations": {name: _record(one) for name, one in each.items()}}
        if progress is not None:
            progress(done, len(data.metrics))
    return found


def mediation(data: AuditData, *, progress: Progress | None = None) -> dict[str, Any]:
    """Splits the effect of every condition on performance by what every metric carries.

    Args:
      data: of the run.
      progress: called with the metrics done and their number.

    Returns:
      metric -> {"base", "share", "share_reason", "surrogate_share", "surrogate_reason", "off_support", "mean": part ->,
      "conditions": name -> part ->}, JSON values; the parts are "total", "indirect", "direct" and "predicted". A reason
      says why a share is not to be read as one.
    """
    key = _keys.named(data.config.seed, "audit, mediation")
    found = {}
    for done, metric in enumerate(data.metrics, 1):
        one = causal.mediate(
            key,
            data.outcomes[metric],
            data.outcomes[data.measure.key],
            data.degradations,
            data.severities,
            clean=(data.clean[metric], data.clean[data.measure.key]),
            num_resamples=data.num_resamples // 2,
            level=data.config.level,
        )
        parts = {name: intervals(values, data.names) for name, values in one.conditions._asdict().items()}
        found[metric] = {
            "base": one.base,
            "share": interval(one.share),
            "share_reason": one.share_reason,
            "surrogate_share": interval(one.surrogate_share),
            "surrogate_reason": one.surrogate_reason,
            "off_support": number(one.off_support),
            "mean": {part: interval(value) for part, value in one.mean._asdict().items()},
            "conditions": {name: {part: rows[name] for part, rows in parts.items()} for name in data.names},
        }
        if progress is not None:
            progress(done, len(data.metrics))
    return found


def _record(one: causal.DoseAlignment) -> dict[str, Any]:
    return {name: interval(estimate) for name, estimate in one._asdict().items()}
