"""The null of within and pooled alignment: exact with scenes in score and performance, unlike permuted conditions."""

import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment


def _draw(rng, images=30, conditions=6, share=0.7, link=0.0):
    """Scores and performance both keep their scene through the conditions; `link` joins the two."""
    a, b = rng.normal(size=(2, 1, images))
    ease = np.linspace(-1, 1, conditions)[:, None]
    b = link * a + np.sqrt(1 - link**2) * b
    noise = rng.normal(size=(2, conditions, images))
    q = 2 * ease + np.sqrt(share) * a + np.sqrt(1 - share) * noise[0]
    m = (ease + np.sqrt(share) * b + np.sqrt(1 - share) * noise[1] > 0).astype(float)
    return q, m


def test_p_values_are_uniform_although_scenes_tie_the_rows(key):
    rng = np.random.default_rng(0)
    drawn = [_draw(rng) for _ in range(200)]
    found = [alignment.permutation_null(key, q, m, num_permutations=99) for q, m in drawn]
    for name in ("p_within", "p_pooled"):
        p = np.array([getattr(one, name) for one in found])
        # Level 0.1: 20 expected of 200, standard deviation 4.2.
        assert 7 <= (p <= 0.1).sum() <= 34
        assert stats.kstest(p, "uniform").pvalue > 1e-3
    # The twin: every condition permuted by itself rejects far too often.
    rejected = 0
    for q, m in drawn:
        value = alignment.within(q, m).rho
        null = [alignment.within(rng.permuted(q, axis=1), m).rho for _ in range(39)]
        rejected += (1 + sum(x >= value for x in null)) / 40 <= 0.1
    assert rejected > 45


def test_statistics_are_the_correlations_of_permuted_scores(key):
    q, m = _draw(np.random.default_rng(2), images=12, link=0.8)
    found = alignment.permutation_null(key, q, m, num_permutations=20_000)
    rng = np.random.default_rng(5)
    orders = [rng.permutation(12) for _ in range(2000)]
    for number, fn in (("within", lambda a, b: alignment.within(a, b).rho), ("pooled", alignment.pooled)):
        null = np.array([fn(q[:, order], m) for order in orders])
        expected = (null >= fn(q, m)).mean()
        assert getattr(found, f"p_{number}") == pytest.approx(expected, abs=5 * np.sqrt((expected + 1e-3) / 2000))
        assert getattr(found, f"mean_{number}") == pytest.approx(null.mean(), abs=5 * null.std() / np.sqrt(2000))


def test_a_link_between_images_is_found_and_the_smallest_p_value_counts_itself(key):
    q, m = _draw(np.random.default_rng(3), images=60, link=0.9)
    found = alignment.permutation_null(key, q, m, num_permutations=199)
    assert found.p_within == found.p_pooled == 1 / 200
    assert found.mean_within == pytest.approx(0, abs=0.05)
    # Conditions alone align the pooled rows.
    assert found.mean_pooled > 0.3
    q[0, :5] = np.nan
    assert alignment.permutation_null(key, q, m, num_permutations=199).p_within == 1 / 200


def test_what_is_undefined_has_no_p_value(key):
    q, m = _draw(np.random.default_rng(3))
    assert np.isnan(alignment.permutation_null(key, np.ones_like(q), m, num_permutations=5)).all()
    with pytest.raises(ValueError, match="num_permutations"):
        alignment.permutation_null(key, q, m, num_permutations=0)


def test_clusters_are_permuted_whole_and_keep_the_level(key):
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(24), rng.integers(4, 6, 24))
    rejected = {"images": 0, "clusters": 0}
    for _ in range(100):
        # Score and performance each have a part that the images of a cluster share, and nothing in common.
        (q, m), shared = _draw(rng, images=len(clusters), conditions=3), 2 * rng.normal(size=(2, 24))[:, clusters]
        q, m = q + shared[0], m + shared[1]
        for name, own in (("images", None), ("clusters", clusters)):
            found = alignment.permutation_null(key, q, m, num_permutations=99, clusters=own)
            rejected[name] += found.p_within <= 0.1
    # Level .1: 10 expected of 100, standard deviation 3.
    assert 2 <= rejected["clusters"] <= 19 < 24 < rejected["images"]
    linked = alignment.permutation_null(key, q, q + m, num_permutations=99, clusters=clusters)
    assert linked.p_within == 0.01
    # Four clusters of sizes that no two share cannot be permuted.
    few = np.repeat(np.arange(4), [1, 2, 4, 8])
    assert np.isnan(alignment.permutation_null(key, q[:, :15], m[:, :15], num_permutations=9, clusters=few)).all()
    alone = alignment.permutation_null(key, q, m, num_permutations=99, clusters=np.arange(len(clusters)))
    assert np.isfinite(alone.p_within)
