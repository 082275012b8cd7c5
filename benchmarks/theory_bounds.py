"""The bounds of docs/theory.md on a finished run: python -m benchmarks.theory_bounds --run=DIR --markdown=PATH

Prints, for every score of one number per image, the parts of its pooled correlation, the pairs of conditions that it
provably orders against performance and the bounds that follow, and the best order that an error of predicted accuracy
guarantees. All of the networks' mean performance.
"""

import numpy as np
import scipy.optimize
import scipy.stats
from absl import app, flags

from causal_iqa import _files, alignment, pipeline
from causal_iqa.analysis import findings

_RUN = flags.DEFINE_string("run", None, "Output folder of a finished run.", required=True)
_MARKDOWN = flags.DEFINE_string("markdown", None, "Where the table goes; the screen otherwise.")
_LEVEL = flags.DEFINE_float("level", 0.95, "Of the statements about contradictions.", lower_bound=0, upper_bound=1)


def table(folder: str, level: float) -> str:
    """Returns the table of a run as Markdown, most contradicted scores last."""
    run = pipeline.read_run(folder)
    rows = findings.image_rows(run.config, run.columns, run.table, whole=False)
    performance = np.mean(list(rows.performance.values()), axis=0)
    mean = performance.mean(axis=1)
    degradations = [condition.name for condition in rows.conditions]
    found, left_out = [], []
    for name, by_network in rows.scores.items():
        scores = np.mean([np.asarray(v, np.float64) for v in by_network.values()], axis=0)
        if name in rows.of_sets or not np.isfinite(scores).all():
            left_out.append(name)
            continue
        parts = alignment.decompose(scores, performance)
        against = alignment.contradicted_pairs(scores, performance, level=level)
        between = scipy.stats.spearmanr(scores.mean(axis=1), mean).statistic
        predicted = _predicted(scores.mean(axis=1), mean, degradations)
        found.append((name, rows.families[name], between, parts, against, predicted))
    found.sort(key=lambda one: one[4].proven)
    n, possible = performance.shape[1], found[0][4].possible
    proven = found[0][4].pairs
    lines = [
        f"{n} images, {len(mean)} conditions, {possible} pairs of conditions; the order of {proven} by performance is "
        f"proven at level {level:g}.",
        "",
        "| score | family | between | contradicted pairs | tau at most | between at most | B_Q | within, Pearson |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, family, between, parts, against, _ in found:
        lines.append(
            f"| `{name}` | {family} | {between:.3f} | {against.proven} ({against.proven / possible:.1%}) | "
            f"{against.kendall_bound:.3f} | {against.spearman_bound:.3f} | {parts.share_q:.2f} | {parts.within:.2f} |"
        )
    share = parts.share_m
    best = max(found, key=lambda one: alignment.ordered_by_error(one[5], mean))
    lines += [
        "",
        "The smallest of the largest errors of predicted accuracy is "
        f"{100 * np.max(np.abs(best[5] - mean)):.1f} points, of `{best[0]}`; with it Proposition 6 guarantees a tau of "
        f"{alignment.ordered_by_error(best[5], mean):.2f}.",
    ]
    lines += ["", f"B_M, the share of the variance of M that lies between conditions, is {share:.2f}."]
    exhibits = [(name, against) for name, _, _, _, against, _ in found if against.worst]
    if exhibits:
        name, against = exhibits[-1]
        a, b = against.worst
        lines.append(
            f"The largest contradiction of `{name}`: it prefers {rows.conditions[b].name} to "
            f"{rows.conditions[a].name}, where the networks have {mean[b]:.3f} and {mean[a]:.3f}."
        )
    if left_out:
        lines.append(f"Left out, undefined for some image or not a number per image: {', '.join(left_out)}.")
    return "\n".join(lines) + "\n"


def _predicted(q: np.ndarray, m: np.ndarray, degradations: list[str]) -> np.ndarray:
    """Accuracy of each condition by an isotonic map that is fitted on the other degradations."""
    out = np.empty(len(q))
    kinds = np.asarray(degradations)
    for kind in np.unique(kinds):
        held = kinds == kind
        order = np.argsort(q[~held], kind="stable")
        fitted = scipy.optimize.isotonic_regression(m[~held][order]).x
        out[held] = np.interp(q[held], q[~held][order], fitted)
    return out


def main(_: list[str]) -> None:
    """Writes the table."""
    text = table(_RUN.value, _LEVEL.value)
    if _MARKDOWN.value:
        _files.write_text(_MARKDOWN.value, text)
    else:
        print(text)


if __name__ == "__main__":
    app.run(main)
