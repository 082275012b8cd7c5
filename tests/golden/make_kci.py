"""Writes kci.json with causal-learn's KCI (the bench extra): python -m tests.golden.make_kci"""

import importlib.metadata
import json
import pathlib

import numpy as np
from causallearn.utils.KCI.KCI import KCI_CInd, KCI_UInd

_SIMULATIONS = 50_000


def _case(rng: np.random.Generator, n: int, d_z: int, dependence: float) -> dict:
    z, e = rng.standard_normal((n, d_z)), rng.standard_normal((n, 1))
    x = np.sin(z[:, :1]) + 0.5 * e
    y = z[:, -1:] ** 2 + rng.standard_normal((n, 1)) + dependence * e
    x, y, z = (np.round(v, 4) for v in (x, y, z))
    case = {"x": x.tolist(), "y": y.tolist(), "z": z.tolist()}
    # causal-learn writes into the arrays it is given.
    for name, test, arguments in (("conditional", KCI_CInd, (x, y, z)), ("unconditional", KCI_UInd, (x, y))):
        gamma, statistic = test(approx=True).compute_pvalue(*(v.copy() for v in arguments))
        simulations = {"null_ss": _SIMULATIONS} if test is KCI_UInd else {"nullss": _SIMULATIONS}
        spectral = test(approx=False, **simulations)
        case[name] = {
            "statistic": float(statistic),
            "gamma": float(gamma),
            "spectral": float(spectral.compute_pvalue(*(v.copy() for v in arguments))[0]),
        }
    median, _ = KCI_CInd(est_width="median").compute_pvalue(x.copy(), y.copy(), z.copy())
    case["conditional"]["gamma_median_width"] = float(median)
    return case


def main() -> None:
    """Writes the file."""
    np.random.seed(0)  # noqa: NPY002 - causal-learn draws from the global generator.
    rng = np.random.default_rng(0)
    cases = [_case(rng, n, d_z, strength) for n, d_z, strength in ((48, 2, 0.0), (48, 2, 0.3), (48, 2, 0.8))]
    content = {"causal-learn": importlib.metadata.version("causal-learn"), "simulations": _SIMULATIONS, "cases": cases}
    pathlib.Path(__file__).with_name("kci.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
