"""The audit's tests of what graphs imply: families, their alternatives, and graphs the user gives."""

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

import jax
import numpy as np
from scipy import stats

from causal_iqa import _keys, alignment, causal
from causal_iqa.analysis import effects
from causal_iqa.analysis.audit.data import AuditData, Progress, node_name, number
from causal_iqa.analysis.audit.records import GraphTest, GraphTests, GraphVerdict, TestedGraph

K = TypeVar("K", bound=Hashable)

ALPHA = 0.05
# One row a condition is tested in strata, so there must be company.
_PER_CONDITION = 8
# Images drawn for the tests that take one row of each: their time grows with the square and the cube.
_MOST_IMAGES = 1000
# Rows drawn, as images with all their conditions, for each test given the condition.
_MOST_ROWS = 200_000
_BLIND = causal.Independence("C", "Q", frozenset())
_IRRELEVANT = causal.Independence("M", "Q", frozenset({"C"}))


def graph_tests(
    data: AuditData, user_graphs: Mapping[str, causal.Graph], *, progress: Progress | None = None
) -> GraphTests:
    """Tests every implication of every graph that the columns can test.

    Nodes with a column: C (degradation and severity), Y (label), M (mean performance), Q (each metric in turn);
    degradation, severity, every column of the table with other signs as underscores (resnet_correct), every metric by
    its name, and its score of the clean image as clean_NAME. All others are latent.

    Args:
      data: data of the run.
      user_graphs: name -> graph, tested in addition to the families of the metrics and `causal.ALTERNATIVES`.
      progress: called with the metrics done and their number.

    Returns:
      Every test, the tests that tell the graphs apart, and the verdict on each graph.
    """
    own = {family: effects.family_graph(data.config, family) for family in dict.fromkeys(data.families.values())}
    graphs = {**own, **causal.ALTERNATIVES, **user_graphs}
    key = _keys.named(data.config.seed, "audit, graph tests")
    alone = _independent_images(data)
    conditions, places = causal.one_row_per_image(
        key, len(alone), len(data.names), per_condition=_PER_CONDITION, most=_MOST_IMAGES
    )
    images = alone[places]
    some = _whole_images(data, alone)
    columns = _columns(data, conditions, images)
    observed = {*columns, "Q"}
    implied = {name: causal.implications(graph, observed & set(graph.nodes)) for name, graph in graphs.items()}
    wanted = _statements(data, graphs, implied, own)
    num_permutations = max(1000, math.ceil(1.5 * sum(map(len, wanted.values())) / ALPHA))
    tests = []
    for done, (metric, statements) in enumerate(wanted.items(), 1):
        seen = dict(columns)
        if metric is not None:
            seen["Q"] = causal.numeric_column(data.outcomes[metric][conditions, images])
        tables = _tables(data, metric)
        # The same key for all metrics: they meet the same permutations.
        for one in statements:
            tests.append((metric, one, _test(key, one, seen, tables, (conditions, images), some, num_permutations)))
        if progress is not None:
            progress(done, len(wanted))
    rows = _adjusted(tests)
    return GraphTests(
        design=(
            f"one row per image, {len(images)} images, each under one of {len(set(conditions.tolist()))} conditions "
            f"dealt out at random; given C alone, all rows of {_counted(some, alone)}, with images permuted whole"
            f"{_of_groups(alone, data)}"
        ),
        alpha=ALPHA,
        graphs={name: TestedGraph(str(graph), tuple(implied[name])) for name, graph in graphs.items()},
        tests=rows,
        distinctions=_distinctions(graphs, observed),
        verdicts=_verdicts(data, own, implied, rows),
    )


def evidence(tested: GraphTests, data: AuditData) -> dict[str, causal.Evidence]:
    """The tests behind the desiderata of every metric, each kind corrected by Holm over all metrics.

    Args:
      tested: result of `graph_tests`.
      data: data of the run.
    """
    place = {(test.metric, test.independence): test for test in tested.tests}
    key = _keys.named(data.config.seed, "audit, common sign")
    alone = _independent_images(data)
    some = _whole_images(data, alone)
    num_permutations = max(1000, math.ceil(1.5 * len(data.metrics) / ALPHA))
    falling, page, signs = {}, {}, {}
    for metric in data.metrics:
        for name, one in falls(data, metric).items():
            falling[metric, name] = one.p_value
        for name in dict.fromkeys(data.degradations):
            at = np.flatnonzero(np.array(data.degradations) == name)
            at = at[np.argsort(data.severities[at], kind="stable")]
            page[metric, name] = causal.falling_trend(data.outcomes[metric][at][:, alone]).p_value
        signs[metric] = causal.common_sign_test(
            key,
            data.outcomes[metric][:, some],
            data.outcomes[data.measure.key][:, some],
            num_permutations=num_permutations,
        )
    falling, page = _corrected(falling), _corrected(page)
    sign = _corrected({metric: one.p_value for metric, one in signs.items()})
    found = {}
    for metric in data.metrics:
        depends, informs = (place.get((metric, one)) for one in (_BLIND, _IRRELEVANT))
        found[metric] = causal.Evidence(
            depends=_corrected_test(depends),
            falling={name: one for (of, name), one in falling.items() if of == metric},
            page={name: one for (of, name), one in page.items() if of == metric},
            informs=_corrected_test(informs),
            common_sign=sign[metric]._replace(z=signs[metric].z),
        )
    return found


def falls(data: AuditData, metric: str) -> Mapping[str, causal.StepFalls]:
    """Returns how the mean of a metric falls from severity to severity, degradation by degradation."""
    return causal.falls_by_degradation(
        data.outcomes[metric],
        data.degradations,
        data.severities,
        clean=data.clean[metric],
        clusters=data.clusters,
        level=data.config.level,
    )


def _corrected(p_values: Mapping[K, float]) -> dict[K, causal.CorrectedTest]:
    values = np.array(list(p_values.values()), np.float64)
    rows = zip(p_values, values, alignment.adjust(values, "holm"), strict=True)
    return {name: causal.CorrectedTest(float(p), float(holm)) for name, p, holm in rows}


def _corrected_test(test: GraphTest | None) -> causal.CorrectedTest:
    if test is None or math.isnan(test.holm):
        return causal.CorrectedTest()
    return causal.CorrectedTest(test.p_value, test.holm)


def _independent_images(data: AuditData) -> np.ndarray:
    """Places of images that are independent draws: one of each group at random, all where there are no groups.

    Images of one group share more than the condition, so neither is each of them a draw of its own, nor may single
    images change places with images of other groups.
    """
    if data.clusters is None:
        return np.arange(len(data.labels))
    order = np.asarray(jax.random.permutation(_keys.named(data.config.seed, "audit, groups"), len(data.labels)))
    return np.sort(order[np.unique(data.clusters[order], return_index=True)[1]])


def _whole_images(data: AuditData, alone: np.ndarray) -> np.ndarray:
    """Those of some places that a test given the condition takes with all their rows."""
    most = max(1, _MOST_ROWS // len(data.names))
    if len(alone) <= most:
        return alone
    key = _keys.named(data.config.seed, "audit, whole images")
    return np.sort(alone[np.asarray(jax.random.permutation(key, len(alone)))[:most]])


def _counted(some: np.ndarray, alone: np.ndarray) -> str:
    return "all images" if len(some) == len(alone) else f"{len(some)} images drawn at random"


def _of_groups(alone: np.ndarray, data: AuditData) -> str:
    if data.clusters is None:
        return ""
    return f"; one image of each of {len(alone)} groups, drawn at random, since images of a group are not independent"


def _columns(data: AuditData, conditions: np.ndarray, images: np.ndarray) -> dict[str, causal.Column]:
    degradation = np.unique(np.array(data.degradations), return_inverse=True)[1][conditions]
    severity = data.severities[conditions]
    tables = {**data.rows, **data.outcomes}
    columns = {node_name(name): causal.numeric_column(values[conditions, images]) for name, values in tables.items()}
    clean = {f"clean_{node_name(name)}": values[images] for name, values in data.clean.items()}
    columns |= {name: causal.numeric_column(values) for name, values in clean.items() if np.isfinite(values).any()}
    return columns | {
        "C": causal.Column(degradation, severity),
        "degradation": causal.Column(degradation),
        "severity": causal.numeric_column(severity),
        "Y": causal.Column(data.labels[images]),
        "M": causal.numeric_column(data.outcomes[data.measure.key][conditions, images]),
    }


def _tables(data: AuditData, metric: str | None) -> dict[str, np.ndarray]:
    """Node -> [C, N], or [N] where the condition does not change it."""
    tables = {node_name(name): values for name, values in {**data.rows, **data.outcomes}.items()}
    tables |= {f"clean_{node_name(name)}": values for name, values in data.clean.items()}
    tables |= {"M": data.outcomes[data.measure.key], "Y": np.asarray(data.labels)}
    return tables if metric is None else tables | {"Q": data.outcomes[metric]}


def _test(key, one, columns, tables, rows, some, num_permutations) -> causal.IndependenceTest:
    """Given only C, every row of some images counts; other tests take one row per image.

    Against C itself that row is taken relative to the image's own mean over the conditions: where C has no effect the
    conditions of an image are exchangeable, and the contribution of the scene to all of them is noise to this test.
    """
    if one.given == {"C"} and {one.x, one.y} <= set(tables):
        x, y = (tables[name][..., some] for name in (one.x, one.y))
        labels = {"x_is_label": one.x == "Y", "y_is_label": one.y == "Y"}
        return causal.within_condition_independence_test(key, x, y, num_permutations=num_permutations, **labels)
    other = one.y if one.x == "C" else one.x
    if "C" in (one.x, one.y) and not one.given and np.ndim(tables.get(other)) == 2:
        columns = {**columns, other: causal.Column(numbers=_relative(tables[other])[rows])}
    return causal.statement_tests(key, [one], columns, num_permutations=num_permutations)[one]


def _relative(table: np.ndarray) -> np.ndarray:
    """Ranks over the whole table, in [0, 1], minus the mean of each image; NaN where undefined."""
    known = np.isfinite(table)
    ranks = np.full(table.shape, np.nan)
    ranks[known] = stats.rankdata(table[known]) / known.sum()
    with np.errstate(invalid="ignore"):
        return ranks - np.where(known, ranks, 0.0).sum(axis=0) / known.sum(axis=0)


def _statements(data, graphs, implied, own) -> dict[str | None, list[causal.Independence]]:
    """The statements to test for each metric, and (None) for no metric; a family covers its own metrics only."""
    every = {name: [one.independence for one in implied[name] if not one.reason] for name in graphs}
    wanted: dict[str | None, list[causal.Independence]] = {None: []}
    for statements in every.values():
        wanted[None] += [one for one in statements if not _reads_score(one)]
    for metric in data.metrics:
        names = [name for name in graphs if name not in own or name == data.families[metric]]
        of_score = [one for name in names for one in every[name] if _reads_score(one)]
        wanted[metric] = list(dict.fromkeys([_BLIND, _IRRELEVANT, *of_score]))
    wanted[None] = list(dict.fromkeys(wanted[None]))
    return wanted


def _reads_score(one: causal.Independence) -> bool:
    return "Q" in {one.x, one.y, *one.given}


def _adjusted(
    tests: list[tuple[str | None, causal.Independence, causal.IndependenceTest]],
) -> tuple[GraphTest, ...]:
    p_values = np.array([result.p_value for _, _, result in tests])
    adjusted = (alignment.adjust(p_values, method) for method in ("holm", "bh"))
    rows = []
    for (metric, one, result), holm, discovery in zip(tests, *adjusted, strict=True):
        verdict = "not testable" if result.reason or math.isnan(holm) else "rejected" if holm < ALPHA else "kept"
        rows.append(
            GraphTest(
                metric,
                one,
                number(result.p_value),
                number(holm),
                number(discovery),
                result.method,
                result.num_rows,
                result.reason,
                verdict,
            )
        )
    return tuple(rows)


def _distinctions(graphs: Mapping[str, causal.Graph], observed: Iterable[str]) -> tuple[causal.Distinction, ...]:
    # Only what some graph names: the table has many more columns.
    named = {node for graph in graphs.values() for node in graph.nodes} & set(observed)
    return tuple(causal.distinctions(graphs, named))


def _verdicts(
    data: AuditData,
    own: Mapping[str, causal.Graph],
    implied: Mapping[str, Iterable[causal.Implication]],
    tests: Iterable[GraphTest],
) -> dict[str, dict[str, GraphVerdict]]:
    """What became of every graph for every metric that it speaks of."""
    place = {(test.metric, test.independence): test.verdict for test in tests}
    verdicts: dict[str, dict[str, GraphVerdict]] = {}
    for name, statements in implied.items():
        verdicts[name] = {}
        for metric in data.metrics:
            if name in own and data.families[metric] != name:
                continue
            answers = []
            for one in statements:
                at = one.independence
                owner = metric if _reads_score(at) else None
                answers.append((at, "not testable" if one.reason else place[owner, at]))
            said = [answer for _, answer in answers]
            verdicts[name][metric] = GraphVerdict(
                kept=said.count("kept"),
                rejected=said.count("rejected"),
                not_testable=said.count("not testable"),
                by=tuple(at for at, answer in answers if answer == "rejected"),
            )
    return verdicts
