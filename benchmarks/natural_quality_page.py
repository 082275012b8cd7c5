"""The tables of the natural-quality study as a page."""

import numpy as np

from benchmarks.natural_quality import REJECTED


def _percent(x: float) -> str:
    return f"{100 * x:.1f} %"


def page(found: dict) -> str:
    """Returns the tables as Markdown.

    Args:
      found: of `natural_quality.measure`.
    """
    table = sorted(found["table"].items(), key=lambda row: -row[1]["auroc"])
    lines = [
        f"{found['test_crops']} test crops; accuracy of the networks: "
        + ", ".join(f"`{name}` {_percent(value)}" for name, value in found["accuracy"].items())
        + ".",
        "",
        "| score | family | AUROC of correctness | within (Spearman) | errors among the worst 20 % |",
        "|---|---|---|---|---|",
    ]
    for name, row in table:
        shown = f"**{name}**" if name == found["best"] else name
        lines.append(
            f"| {shown} | {row['family']} | {row['auroc']:.3f} | {row['spearman']:.3f} | "
            f"{_percent(row['errors_in_worst_20'])} |"
        )
    lines += ["", "Accuracy of what is left when the worst are left out:", ""]
    lines += ["| score | " + " | ".join(f"{100 * share:g} %" for share in REJECTED) + " |"]
    lines += ["|---|" + "---|" * len(REJECTED)]
    lines += [f"| {k} | " + " | ".join(_percent(x) for x in v) + " |" for k, v in found["reject"].items()]
    lines += ["", f"Accuracy by tenth of `{found['best']}`, worst first:", ""]
    lines += ["| tenth | expected | actual |", "|---|---|---|"]
    lines += [f"| {i + 1} | {_percent(e)} | {_percent(a)} |" for i, (e, a) in enumerate(found["tenths"])]
    expected, actual = np.asarray(found["by_class"]).T
    lines += [
        "",
        f"Expected accuracy of all test crops {_percent(found['expected'])}, actual {_percent(found['actual'])}. "
        f"By class: Spearman of expected and actual {_spearman(expected, actual):.2f}, mean absolute error "
        f"{_percent(float(np.abs(expected - actual).mean()))}.",
        "",
    ]
    return "\n".join(lines)


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    from scipy import stats

    return float(stats.spearmanr(x, y).statistic)
