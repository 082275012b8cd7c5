"""Between corrected for image noise: near its population value, with the standard error it has, or with a reason."""

import jax
import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment

_CONDITIONS, _IMAGES, _DRAWS = 50, 150, 60


def _population(seed, share=0.95):
    """Mean scores and thresholds of performance of every condition, and their Spearman correlation."""
    rng = np.random.default_rng(seed)
    ease, other = rng.normal(size=(2, _CONDITIONS))
    score = share * ease + np.sqrt(1 - share**2) * other
    return score, ease, stats.spearmanr(score, ease).statistic


def _draw(rng, score, ease, noises, images=_IMAGES):
    """Scores that see the same condition means through image noise of several sizes; scenes tie the conditions."""
    scene = rng.normal(size=(1, images))
    m = (rng.normal(size=(len(ease), images)) < ease[:, None] + 0.3 + scene).astype(float)
    own = [0.6 * scene + rng.normal(size=(len(ease), images)) for _ in noises]
    return [score[:, None] + noise * x for noise, x in zip(noises, own, strict=True)], m


@pytest.fixture(scope="module")
def drawn():
    """Errors of `between` and of the corrected one [D, 2] for image noise 1 and 6, and what the latter moves by."""
    rng = np.random.default_rng(0)
    plain, corrected, influences = [], [], []
    for i in range(_DRAWS):
        score, ease, truth = _population(i)
        scores, m = _draw(rng, score, ease, (1.0, 6.0))
        found = alignment.correct(jax.random.key(i), {str(j): {"net": q} for j, q in enumerate(scores)}, {"net": m})
        plain.append([alignment.between(q, m) - truth for q in scores])
        corrected.append([one["net"].value - truth for one in found.values()])
        influences.append([one["net"].influences for one in found.values()])
    return np.array(plain), np.array(corrected), np.array(influences)


def test_the_corrected_number_does_not_depend_on_image_noise(drawn):
    plain, corrected, _ = drawn
    assert plain.mean(axis=0)[0] > -0.03 and plain.mean(axis=0)[1] < -0.08
    error = corrected.std(axis=0) / np.sqrt(_DRAWS)
    assert (np.abs(corrected.mean(axis=0)) < 3 * error + 0.002).all()


def test_standard_errors_are_those_of_fresh_draws(drawn):
    _, corrected, influences = drawn
    claimed = np.sqrt(np.square(influences).sum(axis=2)).mean(axis=0)
    # The standard deviation of 60 draws is known to 9 %; the jackknife errs on the wide side.
    np.testing.assert_allclose(claimed, corrected.std(axis=0), rtol=0.3)


def test_scores_of_equal_population_between_are_rarely_called_different(drawn):
    """Resampled differences of `between` itself call nearly every such pair different."""
    plain, corrected, influences = drawn
    error = np.sqrt(np.square(influences[:, 0] - influences[:, 1]).sum(axis=1))
    rejected = np.abs(corrected[:, 0] - corrected[:, 1]) > stats.norm.ppf(0.95) * error
    # Level 0.1: 6 expected of 60, standard deviation 2.3.
    assert rejected.sum() <= 14
    assert ((plain[:, 0] - plain[:, 1]) > 0).mean() > 0.95


def test_paired_tests_and_comparisons_are_of_the_corrected_number(key):
    rng = np.random.default_rng(3)
    p_values = []
    for i in range(12):
        score, ease, _ = _population(100 + i)
        scores, m = _draw(rng, score, ease, (1.0, 6.0), images=120)
        tables = {name: {"net": q} for name, q in zip("ab", scores, strict=True)}
        found = alignment.bootstrap(jax.random.fold_in(key, i), tables, {"net": m}, num_resamples=99)
        first, second = (found[name]["net"] for name in "ab")
        difference = alignment.paired_difference(first, second)
        assert difference.between.estimate.value == first.between[0] - second.between[0] > 0
        assert difference.between.p_value == difference.corrected.p_value
        compared = {one.number: one for one in alignment.compare({"a": first, "b": second})}
        p_values.append((difference.between.p_value, compared["between"].p_normal))
    p_values = np.array(p_values)
    # Percentiles of the resampled `between` have p = .02, the least possible, in nearly every draw.
    assert (p_values > 0.05).sum(axis=0).min() >= 9


def test_the_interval_holds_the_number_even_near_one(key):
    rng = np.random.default_rng(5)
    score, ease, _ = _population(7, share=0.999)
    (q,), m = _draw(rng, score, ease, (2.0,), images=60)
    found = alignment.align(key, {"q": {"net": q}}, {"net": m}, num_resamples=99)["q"]["net"]
    assert -1 <= found.corrected.low <= found.corrected.value <= found.corrected.high <= 1
    assert found.between.low <= found.between.value <= found.between.high
    assert found.corrected.value > found.between.value
    assert 0.5 < found.reliability.score < 1 and found.reliability.reason == ""


def test_where_nothing_holds_the_reason_stands_beside(key):
    rng = np.random.default_rng(6)
    score, ease, _ = _population(8)
    (q, noise), m = _draw(rng, score, ease, (1.0, 1e3))
    few = {
        "halves of the images agree": (noise, m),
        "19 images are too few": (q[:, :19], m[:, :19]),
        "7 conditions": (q[:7], m[:7]),
        "same under all conditions": (np.ones_like(q), m),
        "0 conditions": (np.full_like(q, np.nan), m),
    }
    for reason, (table, performance) in few.items():
        found = alignment.correct(key, {"q": {"net": table}}, {"net": performance})["q"]["net"]
        assert np.isnan(found.value) and reason in found.reliability.reason
    # A value without an interval that would hold it.
    found = alignment.correct(key, {"q": {"net": q[:12]}}, {"net": m[:12]})["q"]["net"]
    assert np.isfinite(found.value) and not found.influences.size
    assert "12 conditions are too few for an interval" in found.reliability.reason
    with pytest.raises(ValueError, match="unknown network"):
        alignment.correct(key, {"q": {"other": q}}, {"net": m})
    with pytest.raises(ValueError, match="one shape"):
        alignment.correct(key, {"q": {"net": q[:, 1:]}}, {"net": m})


def test_few_images_give_no_interval_and_no_p_value(key):
    """One readable image has no spread; a width of 0 and p = 0 would say that it is certain."""
    for images in (1, 9):
        rng = np.random.default_rng(7)
        q, other, m = rng.normal(size=(3, 12, images))
        m = (m > 0).astype(float)
        tables = {"q": {"net": q}, "other": {"net": other}}
        found = alignment.bootstrap(key, tables, {"net": m}, num_resamples=20)
        aligned = alignment.summarise(found["q"]["net"])
        assert np.isfinite(aligned.between.value)
        bounds = [getattr(aligned, number)[1:] for number in alignment.NUMBERS]
        assert np.isnan(bounds).all()
        compared = alignment.compare({name: by["net"] for name, by in found.items()})
        assert np.isnan([one.p_normal for one in compared]).all()
        assert np.isnan([one.difference.p_value for one in compared]).all()


def test_undefined_entries_are_left_out_of_the_means(key):
    rng = np.random.default_rng(9)
    score, ease, truth = _population(9)
    (q,), m = _draw(rng, score, ease, (1.0,), images=400)
    q[rng.random(q.shape) < 0.2] = np.inf
    q[4] = np.nan
    found = alignment.correct(key, {"q": {"net": q}}, {"net": m})["q"]["net"]
    assert found.value == pytest.approx(truth, abs=0.05)


def test_a_mean_as_one_number_per_condition_is_corrected_as_by_its_images(key):
    """The same splits, read as halves of one number, give the value that `correct` gives from the images."""
    rng = np.random.default_rng(3)
    ease = -np.arange(30.0)[:, None] / 10
    m = (ease + 1.5 + rng.normal(size=(30, 80)) > 0).astype(float)
    q = ease + 3 * rng.normal(size=m.shape)
    by_images = alignment.correct(key, {"q": {"net": q}}, {"net": m})["q"]["net"]
    halves = alignment.pairs_of_halves(key, 80, 40)
    assert (halves[0::2] + halves[1::2] == 1).all()
    means = [x @ halves.T / halves.sum(axis=1) for x in (q, m)]
    alone = alignment.correct_halves(means[0].T, means[1].T)
    np.testing.assert_allclose(alone.value, by_images.value, rtol=1e-12)
    np.testing.assert_allclose(alone.reliability[:2], by_images.reliability[:2], rtol=1e-12)
    assert alone.alone.value <= 1 and np.isnan(alone.alone.low)
    assert alone.value > alignment.between(q, m)


def test_halves_stay_together_and_mistakes_are_named(key):
    clusters = np.repeat(np.arange(25), 3)
    halves = alignment.pairs_of_halves(key, 75, 2, clusters)
    assert (halves.reshape(4, 25, 3) == halves.reshape(4, 25, 3)[..., :1]).all()
    assert alignment.pairs_of_halves(key, 19, 2).shape == (0, 19)
    with pytest.raises(ValueError, match="expected one shape"):
        alignment.correct_halves(np.zeros((3, 9)), np.zeros((3, 9)))
    few = alignment.correct_halves(np.random.default_rng(0).normal(size=(4, 5)), np.zeros((4, 5)))
    assert np.isnan(few.value) and "5 conditions" in few.reliability.reason
