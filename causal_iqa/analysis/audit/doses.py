"""The audit's view of doses: do score and performance fall together, and how much of the fall does the score carry?"""

from causal_iqa import _keys, causal
from causal_iqa.analysis.audit.data import AuditData, Progress, each, interval, number
from causal_iqa.analysis.audit.records import MetricDoses, MetricMediation


def dose_alignment(data: AuditData, *, progress: Progress | None = None) -> dict[str, MetricDoses]:
    """Compares the dose-response curves of every metric with that of performance.

    Args:
      data: data of the run.
      progress: called with the metrics done and their number.

    Returns:
      metric -> how its curves go with those of performance.
    """
    key = _keys.named(data.config.seed, "audit, doses")
    found = {}
    for done, metric in enumerate(data.metrics, 1):
        by_degradation, mean = causal.align_doses(
            key,
            data.outcomes[metric],
            data.outcomes[data.measure.key],
            data.degradations,
            data.severities,
            clean=(data.clean[metric], data.clean[data.measure.key]),
            clusters=data.clusters,
            num_resamples=data.num_resamples,
            level=data.config.level,
        )
        found[metric] = MetricDoses(mean, by_degradation)
        if progress is not None:
            progress(done, len(data.metrics))
    return found


def mediation(data: AuditData, *, progress: Progress | None = None) -> dict[str, MetricMediation]:
    """Splits the effect of every condition on performance by what every metric carries.

    Args:
      data: data of the run.
      progress: called with the metrics done and their number.

    Returns:
      metric -> the split of the mean effect and of the effect of every condition.
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
            clusters=data.clusters,
            num_resamples=data.num_resamples // 2,
            level=data.config.level,
        )
        splits = (causal.Split(*row) for row in zip(*map(each, one.conditions), strict=True))
        found[metric] = MetricMediation(
            base=one.base,
            share=interval(one.share),
            share_reason=one.share_reason,
            surrogate_share=interval(one.surrogate_share),
            surrogate_reason=one.surrogate_reason,
            off_support=number(one.off_support),
            mean=causal.Split(*map(interval, one.mean)),
            conditions=dict(zip(data.names, splits, strict=True)),
        )
        if progress is not None:
            progress(done, len(data.metrics))
    return found
