"""Structural models of conditions: what is drawn follows the model, and interventions give the truth it hides."""

import dataclasses

import jax
import numpy as np
import pytest
import scipy.stats

from causal_iqa import InputError, causal, data, degradations, images
from causal_iqa.degradations import structural
from causal_iqa.degradations.structural import Model, Variable

N = 4000


def _dark_model() -> Model:
    """Dark scenes are noisy: the camera turns up its gain."""
    return Model(
        (
            structural.squashed("severity", {"darkness": 3.0}, intercept=-1.5, noise=0.5),
            Variable("darkness", ("exposure",), lambda key, exposure: (1.15 - exposure) / 0.45),
            structural.logistic("which", {"darkness": 4.0}, intercept=-2.0),
        ),
        conditions=("clean", "gaussian_noise"),
    )


@pytest.fixture(scope="module")
def factors():
    return {"exposure": np.random.default_rng(0).uniform(0.7, 1.15, N).astype(np.float32)}


@pytest.fixture(scope="module")
def draws(factors):
    return structural.sample(jax.random.key(1), _dark_model(), factors)


def test_a_draw_depends_on_the_image_alone(factors, draws):
    few = {"exposure": factors["exposure"][7:9]}
    again = structural.sample(jax.random.key(1), _dark_model(), few, salts=np.asarray([7, 8], np.uint32))
    np.testing.assert_allclose(again.severity, draws.severity[7:9], rtol=1e-6)
    np.testing.assert_array_equal(again.which, draws.which[7:9])
    # Nor on how many variables there are, or in which order they were given.
    model = _dark_model()
    more = Model((structural.uniform("extra", low=0, high=1), *model.variables[::-1]), model.conditions)
    np.testing.assert_array_equal(structural.sample(jax.random.key(1), more, factors).severity, draws.severity)
    other = structural.sample(jax.random.key(3), _dark_model(), factors)
    assert (np.asarray(other.severity) != draws.severity).mean() > 0.99


def test_surgery_cuts_the_parents_and_nothing_else(factors, draws):
    model = _dark_model()
    after = structural.do(model, severity=3.0)
    found = structural.sample(jax.random.key(1), after, factors)
    np.testing.assert_array_equal(found.severity, np.full(N, 3.0, np.float32))
    np.testing.assert_array_equal(found.which, draws.which)
    np.testing.assert_array_equal(found.values["darkness"], draws.values["darkness"])
    assert after.factors == ("exposure",)
    # Upstream surgery reaches downstream, with the noise each image had.
    light = structural.do(model, darkness=0.0)
    assert light.factors == ()
    found = structural.sample(jax.random.key(1), light, salts=np.arange(N))
    noise = scipy.special.logit(np.asarray(draws.severity, np.float64) / 5) - 3.0 * np.asarray(draws.values["darkness"])
    np.testing.assert_allclose(found.severity, 5 * scipy.special.expit(noise), atol=1e-4)
    # A randomised trial.
    trial = structural.do(model, severity=structural.uniform("any", low=0.0, high=5.0))
    severity = np.asarray(structural.sample(jax.random.key(1), trial, factors).severity)
    assert scipy.stats.kstest(severity, scipy.stats.uniform(0, 5).cdf).pvalue > 0.01
    assert abs(scipy.stats.spearmanr(severity, factors["exposure"]).statistic) < 0.06


def test_the_graph_names_the_back_door():
    model = _dark_model()
    graph = causal.parse(structural.graph(model))
    expected = (
        "exposure -> darkness -> severity -> X -> M, darkness -> which -> X, exposure -> X, S -> X, S -> exposure"
    )
    assert set(causal.parse(expected).edges) < set(graph.edges)
    assert causal.adjustment_set(graph, "severity", "M", observed=["darkness"]) == {"darkness"}
    # Which degradation it was hangs on the darkness, too.
    assert causal.adjustment_set(graph, "severity", "M", observed=["exposure"]) is None
    assert causal.adjustment_set(graph, "severity", "M", observed=["exposure", "which"]) == {"exposure", "which"}
    after = causal.parse(structural.graph(structural.do(model, severity=3.0, which=1)))
    assert set(after.edges) == set(causal.do(causal.do(graph, "severity"), "which").edges)
    assert causal.adjustment_set(after, "severity", "M") == frozenset()
    labelled = Model((structural.linear("severity", {"label": 0.4}),), ("fog",), which=None)
    assert {("label", "severity"), ("label", "M"), ("S", "label")} <= set(
        causal.parse(structural.graph(labelled)).edges
    )


def test_images_meet_their_drawn_conditions():
    source = data.open_source("scenes")
    indices = np.arange(6)
    clean = np.stack([images.from_uint8(source[i].image) for i in indices])
    conditions = ("clean", "gaussian_noise", "contrast/2+brightness/4|quantise=round")
    model = dataclasses.replace(
        structural.do(_dark_model(), which=structural.categorical("which", {}, intercepts=(0, 0, 0))),
        conditions=conditions,
    )
    key = jax.random.key(4)
    drawn = structural.sample(key, model, source.factors(indices))
    assert len(set(np.asarray(drawn.which).tolist())) > 1
    seen = np.asarray(structural.apply(key, model, clean, drawn))
    for i in indices:
        severity = float(drawn.severity[i])
        text = (
            "clean",
            f"gaussian_noise/{severity!r}",
            f"contrast/{severity / 2!r}+brightness/{severity!r}|quantise=round",
        )
        own = degradations.do(text[int(drawn.which[i])])(jax.random.fold_in(key, i), clean[i])
        np.testing.assert_allclose(seen[i], own, atol=1.1 / 255)
        assert np.abs(seen[i] - own).mean() < 1e-5
    # One program for the data and for every intervention.
    compiled = structural._program(model.conditions)
    before = compiled._cache_size()
    worst = structural.do(model, which=1, severity=5.0)
    drawn_worst = structural.sample(key, worst, source.factors(indices))
    noisy = np.asarray(structural.apply(key, worst, clean, drawn_worst))
    assert compiled._cache_size() == before == 1
    assert (np.abs(noisy - clean).mean(axis=(1, 2, 3)) > 0.05).all()
    table = structural.columns(model, drawn)
    assert table["degradation"][0] in ("clean", "gaussian_noise", "contrast+brightness|quantise=round")
    assert table["exposure"].shape == table["severity"].shape == (6,)


def test_confounding_misleads_and_adjustment_finds_the_truth(factors):
    """A linear world whose effects are known: performance falls by 0.1 with severity, by 1 with darkness."""
    model = Model((structural.linear("severity", {"exposure": -8.0}, intercept=10.0, noise=0.5),), ("fog",), which=None)
    key = jax.random.key(5)

    def performance(severity):
        return 1.0 - 0.1 * np.asarray(severity) - 1.0 * (1.15 - factors["exposure"])

    found = structural.sample(key, model, factors)
    severity, outcome = np.asarray(found.severity), performance(found.severity)
    naive = np.polyfit(severity, outcome, 1)[0]
    design = np.stack([severity, factors["exposure"], np.ones(N)], axis=1)
    adjusted = np.linalg.lstsq(design, outcome, rcond=None)[0][0]
    forced = [structural.sample(key, structural.do(model, severity=s), salts=np.arange(N)) for s in (2.0, 3.0)]
    means = [performance(draws.severity).mean() for draws in forced]
    truth = means[1] - means[0]
    assert truth == pytest.approx(-0.1, abs=1e-3) and adjusted == pytest.approx(truth, abs=5e-3)
    assert naive < truth - 0.05


def test_bad_models_are_refused_by_name(factors):
    linear = structural.linear
    with pytest.raises(InputError, match="no cycle"):
        Model((linear("severity", {"a": 1.0}), linear("a", {"severity": 1.0})), ("fog",), which=None)
    with pytest.raises(InputError, match="no variable 'which'"):
        Model((linear("severity", {}),), ("fog", "contrast"))
    with pytest.raises(InputError, match="did you mean fog"):
        Model((linear("severity", {}),), ("fogg",), which=None)
    with pytest.raises(InputError, match="each once"):
        Model((linear("severity", {}), linear("severity", {})), ("fog",), which=None)
    with pytest.raises(InputError, match="variable `which`"):
        Model((linear("severity", {}),), ("fog", "contrast"), which=None)
    with pytest.raises(InputError, match="letters"):
        linear("a b", {})
    with pytest.raises(InputError, match="none of S"):
        linear("X", {})
    with pytest.raises(InputError, match="3 weights of a, got 2"):
        structural.categorical("which", {"a": (1, 2)}, intercepts=(0, 0, 0))
    with pytest.raises(InputError, match="given scene factor"):
        structural.do(_dark_model(), exposure=1.0)
    with pytest.raises(InputError, match="did you mean severity"):
        structural.do(_dark_model(), severityy=1.0)
    with pytest.raises(InputError, match="depends on 'exposure'"):
        structural.sample(jax.random.key(0), _dark_model(), {"exposures": factors["exposure"]})
    with pytest.raises(InputError, match="number of images"):
        structural.sample(jax.random.key(0), _dark_model(), factors, salts=np.arange(3))
