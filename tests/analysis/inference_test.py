"""What resamples say: which metrics are compared, and with what."""

import numpy as np

from causal_iqa import alignment
from causal_iqa.analysis import inference

_FAMILIES = {"psnr": "full_reference", "entropy": "no_reference", "free": "label_free", "set": "own_outputs"}


def _resamples(rho, pooled=0.5):
    draws = np.r_[rho, rho + np.linspace(-0.1, 0.1, 20)]
    return {"all": alignment.Resamples(draws, draws / 2, np.full(21, pooled))}


_ALL = {"psnr": _resamples(0.4), "entropy": _resamples(0.6), "free": _resamples(0.8), "set": _resamples(0.9)}


def test_intervals_hold_the_value_and_one_number_has_only_between():
    found = inference.summarise(_ALL, one_number=("set",), level=0.9)
    own = found["psnr"]["all"]
    assert own.between.low < own.between.value == 0.4 < own.between.high and own.within.value == 0.2
    assert np.isnan(found["set"]["all"].within.value) and np.isnan(found["set"]["all"].pooled.value)
    assert found["set"]["all"].between.value == 0.9


def test_the_best_conventional_metric_is_the_baseline():
    found = inference.comparisons(_ALL, _FAMILIES, one_number=("set",), level=0.9)
    assert {one.first for one in found} | {one.second for one in found} == {"psnr", "free", "entropy"}
    assert all("entropy" in (one.first, one.second) for one in found)


def test_nothing_is_compared_without_a_conventional_metric():
    assert inference.comparisons({"free": _ALL["free"]}, _FAMILIES, level=0.9) == ()
    undefined = {**_ALL, "psnr": _resamples(np.nan, np.nan), "entropy": _resamples(np.nan, np.nan)}
    assert inference.comparisons(undefined, _FAMILIES, level=0.9) == ()


def test_gains_are_of_new_metrics_only():
    found = inference.gains(_ALL, _FAMILIES, level=0.9)
    assert set(found) == {"free"} and found["free"]
