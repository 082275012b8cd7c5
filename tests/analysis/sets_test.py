"""Scores of whole sets from kept features, and each image's share of them."""

import jax
import numpy as np
import pytest

from causal_iqa import quality
from causal_iqa.analysis import sets
from tests.analysis import worlds

_KEYS = tuple(jax.random.split(jax.random.key(0)))
_DEGRADATIONS = ("fog", "fog", "contrast", "contrast")


def _performance(table):
    return {"a": table.columns["a/correct"][1:]}


def test_shares_are_those_of_the_kept_features():
    table = worlds.table()
    scores, clean, meanings = sets.image_shares(table, ("a", "all"))
    features = table.features["eye"]
    for target in ("labels", "clean"):
        metric = f"hsic_share_{target}@eye"
        expected = quality.contributions(features, features[0], table.labels, target=target)
        np.testing.assert_allclose(scores[metric]["a"], expected[1:], atol=1e-6)
        np.testing.assert_allclose(clean[metric], expected[0], atol=1e-6)
        mild, severe = scores[metric]["all"][:2].sum(axis=1)
        assert mild > severe, "of fog"
        assert meanings[metric].formula == f"hsic_share_{target}"


def test_labels_need_images_of_every_class():
    labels = np.arange(worlds.NUM_IMAGES, dtype=np.int32)
    for given in (labels, np.zeros_like(labels)):
        scores, _, _ = sets.image_shares(worlds.table()._replace(labels=given), ("a",))
        assert set(scores) == {"hsic_share_clean@eye"}


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_features_that_say_nothing_of_the_clean_images_are_passed_over(value):
    table = worlds.table()
    features = np.array(table.vectors["eye/features"])
    features[0] = value
    table = table._replace(vectors={"eye/features": features})
    assert sets.image_shares(table, ("a",)) == ({}, {}, {})
    assert sets.align_sets(_KEYS, table, _performance(table), _DEGRADATIONS) == ({}, {}, {})


def test_one_number_per_condition_has_only_between():
    table = worlds.table()
    aligned, like_these, meanings = sets.align_sets(
        _KEYS, table, _performance(table), _DEGRADATIONS, num_resamples=20, level=0.9
    )
    assert set(aligned) == set(like_these) == set(meanings)
    own = aligned["hsic_labels@eye"]["a"]
    assert -1 <= own.between.value <= 1 and np.isnan(own.within.value) and np.isnan(own.pooled.value)
    assert like_these["hsic_labels@eye"]["a"].between.value == own.between.value
