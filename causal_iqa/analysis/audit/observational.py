"""The audit's observational study: how well adjustment recovers the known truth when scenes choose their conditions."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from causal_iqa import _keys, causal
from causal_iqa.analysis.audit.data import AuditData, Progress, each, interval, number
from causal_iqa.analysis.audit.observational_records import (
    ArmEstimates,
    MethodErrors,
    MethodEstimates,
    NotDone,
    ObservationalStudy,
    Repeats,
    Sensitivity,
)

_STRENGTH = 1.0
_REPEATS = 60
_FACTORS = 2
_MOST_ARMS = 8
_LEAST_PER_ARM = 20
_LEAST_PER_COVARIATE = 4
# Images drawn for the study, whose models are fitted again in every resample.
_MOST_IMAGES = 2000
# With fewer images of a class its label identifies the image, and no other image can replace it.
_LEAST_PER_CLASS = 5


def observational_study(
    data: AuditData, *, repeats: int = _REPEATS, progress: Progress | None = None
) -> ObservationalStudy | NotDone:
    """Draws one condition for each image, hard scenes meeting severe ones, and estimates the effects of severity.

    Hardness is what the label (where there are five images of a class on average) and up to two clean no-reference
    scores say of the mean performance of an image over all conditions: confounding made to hurt. The arms are clean and
    the severities, or ranges of severities where there are few images. Images of one group are drawn together in the
    intervals, and are one observation in the standard error.

    Args:
      data: data of the run.
      repeats: how often conditions are drawn anew, for the bias and the error of every method.
      progress: called with the repeats done and their number.

    Returns:
      The study, or why it cannot be done. Among the methods of its repeats, "incomplete" is the regression without the
      clean scores (without all, where there is no label).
    """
    drawn = len(data.labels) > _MOST_IMAGES
    if drawn:
        key = _keys.named(data.config.seed, "audit, images of the observational study")
        data = data.take(np.sort(np.asarray(jax.random.permutation(key, len(data.labels)))[:_MOST_IMAGES]))
    num_images = len(data.labels)
    if num_images < 2 * _LEAST_PER_ARM:
        return NotDone(f"{num_images} images, fewer than {_LEAST_PER_ARM} for each of two arms")
    arms, levels = _arms(data.severities, num_images)
    tables = {name: np.vstack([data.clean[name], values]) for name, values in data.outcomes.items()}
    performance = tables[data.measure.key]
    factors = _factors(data, performance)
    classes = len(np.unique(data.labels))
    labels = data.labels if 1 < classes <= num_images // _LEAST_PER_CLASS else None
    if labels is None and not factors:
        return NotDone("no label and no clean score varies, so nothing can confound")
    design = causal.design(labels, factors)
    x = design.x
    hardness = -x @ np.linalg.lstsq(x, performance.mean(axis=0), rcond=None)[0]
    propensities = causal.severity_propensities(hardness, arms, strength=_STRENGTH)
    key_draw, key_fit, key_refute = jax.random.split(_keys.named(data.config.seed, "audit, observational study"), 3)
    conditions = causal.observe(key_draw, propensities)
    treatment = arms[conditions]
    if (np.bincount(treatment, minlength=len(levels)) < 2).any():
        return NotDone("a severity was drawn for fewer than two images")
    assigned = causal.assign(
        key_fit, treatment, x, len(levels), num_resamples=data.num_resamples, clusters=data.clusters
    )
    rows = np.arange(num_images)
    metrics: dict[str, ArmEstimates] = {}
    skipped: dict[str, str] = {}
    for name, values in tables.items():
        if np.isfinite(values).all():
            estimates = causal.estimate_arms(assigned, values[conditions, rows], level=data.config.level)
            metrics[name] = _estimates(estimates, causal.true_means(values, arms))
        else:
            skipped[name] = "not defined under every condition"
    short = causal.covariates(labels) if factors and labels is not None else np.ones((num_images, 1))
    graph, adjusted = _graph(factors, labels is not None)
    outcome = performance[conditions, rows]
    return ObservationalStudy(
        num_images=num_images,
        num_groups=None if data.clusters is None else len(np.unique(data.clusters)),
        drawn=drawn,
        arms=levels,
        images_per_arm=tuple(np.bincount(treatment).tolist()),
        strength=_STRENGTH,
        factors=(*(["Y"] if labels is not None else []), *factors),
        graph=graph,
        adjustment_set=adjusted,
        overlap=causal.overlap(treatment, assigned.propensity[0], x),
        method=causal.DEFAULT_METHOD,
        performance=metrics.pop(data.measure.key),
        metrics=metrics,
        skipped=skipped,
        repeats=_repeat(key_draw, propensities, arms, (x, short), performance, repeats, progress),
        refutations=_refutations(key_refute, assigned, outcome, data.config.level),
        sensitivity=_sensitivity(assigned, design, outcome, levels, data),
    )


def _arms(severities: np.ndarray, num_images: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Arm of every condition, clean first, and the names of the arms: severities, or ranges of them for few images."""
    levels, place = np.unique(severities, return_inverse=True)
    num_groups = int(np.clip(num_images // _LEAST_PER_ARM - 1, 1, min(len(levels), _MOST_ARMS - 1)))
    group = np.arange(len(levels)) * num_groups // len(levels)
    names = ["clean"]
    for one in range(num_groups):
        low, high = levels[group == one][[0, -1]]
        names.append(f"{low:g}" if low == high else f"{low:g} to {high:g}")
    return np.concatenate([[0], 1 + group[place]]), tuple(names)


def _factors(data: AuditData, performance: np.ndarray) -> dict[str, np.ndarray]:
    """The clean no-reference scores that go most with the performance of an image."""
    mean = performance.mean(axis=0)
    found = {}
    for metric in data.metrics:
        values = data.clean[metric]
        if data.families[metric] == "no_reference" and np.isfinite(values).all() and np.ptp(values) > 0:
            found[metric] = values
    if np.ptp(mean) == 0:
        return dict(list(found.items())[:_FACTORS])
    by_strength = sorted(found, key=lambda name: -abs(np.corrcoef(found[name], mean)[0, 1]))
    return {name: found[name] for name in by_strength[:_FACTORS]}


def _graph(factors: Mapping[str, np.ndarray], with_label: bool) -> tuple[str, tuple[str, ...] | None]:
    """The graph behind the draw, and the adjustment set it asks for."""
    nodes = [f"F{place}" for place in range(1, len(factors) + 1)]
    edges = [causal.TASK, *(f"S -> {node}, {node} -> C" for node in nodes), *(["Y -> C"] if with_label else [])]
    graph = causal.parse(", ".join(edges))
    found = causal.adjustment_set(graph, "C", "M", observed={"Y", *nodes})
    words = {"Y": "Y", **{node: f"clean {name}" for node, name in zip(nodes, factors, strict=True)}}
    return str(graph), None if found is None else tuple(words[node] for node in sorted(found))


def _estimates(estimates: Mapping[str, causal.ArmMeans], truth: np.ndarray) -> ArmEstimates:
    effects, methods = truth - truth[0], {}
    for method, (mean, effect) in estimates.items():
        error = number(np.abs(effect.value - effects)[1:].mean())
        covered = ((effect.low <= effects) & (effects <= effect.high))[1:].sum()
        methods[method] = MethodEstimates(each(mean), each(effect), error, int(covered))
    return ArmEstimates(tuple(truth.tolist()), methods)


def _repeat(
    key: jax.Array,
    propensities: np.ndarray,
    arms: np.ndarray,
    designs: tuple[np.ndarray, np.ndarray],
    performance: np.ndarray,
    repeats: int,
    progress: Progress | None,
) -> Repeats:
    """Bias and error of the estimated effects over fresh draws; "incomplete" adjusts for too little."""
    truth = causal.true_means(performance, arms)
    truth = (truth - truth[0])[1:]
    num_arms, rows = int(arms.max()) + 1, np.arange(performance.shape[1])
    errors: dict[str, list[np.ndarray]] = {method: [] for method in (*causal.METHODS, "incomplete")}
    x, short = designs
    for repeat in range(repeats):
        conditions = causal.observe(jax.random.fold_in(key, repeat + 1), propensities)
        treatment = arms[conditions]
        if (np.bincount(treatment, minlength=num_arms) > 1).all():
            outcome = performance[conditions, rows]
            found = causal.arm_means(causal.assign(key, treatment, x, num_arms, num_resamples=0), outcome)
            fewer = causal.assign(key, treatment, short, num_arms, num_resamples=0)
            found["incomplete"] = causal.arm_means(fewer, outcome)["regression"]
            for method, means in found.items():
                errors[method].append((means[0, 1:] - means[0, 0]) - truth)
        if progress is not None:
            progress(repeat + 1, repeats)
    table = {method: np.array(values) for method, values in errors.items()}
    draws = len(next(iter(errors.values())))
    return Repeats(draws, {method: _errors(values) for method, values in table.items() if values.size})


def _errors(values: np.ndarray) -> MethodErrors:
    """Summarises the errors of the effects [draws, arms]."""
    return MethodErrors(
        mean_absolute_bias=number(np.abs(values.mean(axis=0)).mean()),
        root_mean_square_error=number(np.sqrt((values**2).mean())),
        monte_carlo_error=number((values.std(axis=0) / np.sqrt(len(values))).mean()),
    )


def _refutations(
    key: jax.Array, assigned: causal.Assignment, outcome: np.ndarray, level: float
) -> tuple[causal.Refutation, ...]:
    worst = assigned.propensity.shape[1] - 1
    found = causal.refute(key, assigned, outcome, arm=worst, level=level)
    return tuple(one._replace(expected=interval(one.expected), found=interval(one.found)) for one in found)


def _sensitivity(
    assigned: causal.Assignment, design: causal.Design, outcome: np.ndarray, levels: Sequence[str], data: AuditData
) -> Sensitivity | NotDone:
    """Returns the sensitivity of the effect of the most severe arm against clean, adjusted for the other arms."""
    worst, treatment = len(levels) - 1, assigned.treatment
    others = (treatment[:, None] == np.arange(1, worst)).astype(np.float64)
    x = np.column_stack([design.x, others])
    if len(x) < _LEAST_PER_COVARIATE * x.shape[1]:
        return NotDone(f"{len(x)} images for {x.shape[1]} covariates and severities")
    groups = np.r_[design.groups, np.full(worst - 1, -1)]
    options = {"groups": groups, "clusters": data.clusters, "alpha": 1 - data.config.level}
    found = causal.robustness(treatment == worst, x, outcome, **options)
    risks = causal.arm_means(assigned, outcome)[causal.DEFAULT_METHOD]
    return Sensitivity(
        arm=levels[worst],
        effect=number(found.effect),
        standard_error=number(found.standard_error),
        value=number(found.value),
        value_significance=number(found.value_significance),
        benchmark_bias=number(found.benchmark_bias),
        strongest=design.names[found.strongest] if found.strongest >= 0 else None,
        benchmark=tuple(number(share) for share in found.benchmark),
        # A ratio of risks, which only shares are.
        e_value=interval(causal.e_value_of_resamples(risks[:, worst], risks[:, 0], level=data.config.level))
        if data.measure.is_share
        else None,
    )
