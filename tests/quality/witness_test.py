"""The witness against its definition in loops, the regularised one against refitting, and the scores read off them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import causal_iqa
from causal_iqa import dependence, quality


def _anchors(num_classes=3, per_class=(6, 4, 5), d=4, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_classes, d)) * 2
    labels = np.repeat(np.arange(num_classes), per_class)
    features = (centres[labels] + rng.normal(size=(len(labels), d))).astype(np.float32)
    return quality.Anchors(features, labels, num_classes), rng.normal(size=(7, d)).astype(np.float32)


def _kernel(a, b, bandwidth):
    return np.exp(-((a[:, None].astype(np.float64) - b[None]) ** 2).sum(-1) / (2 * bandwidth**2))


def test_witness_is_its_definition():
    anchors, queries = _anchors()
    features, labels = anchors.features, anchors.labels
    m = len(labels)
    distances = [np.linalg.norm(features[i] - features[j]) for i, j in itertools.combinations(range(m), 2)]
    bandwidth = np.median(distances)
    k_aa, k_xa = _kernel(features, features, bandwidth), _kernel(queries, features, bandwidth)
    l_aa = (labels[:, None] == labels[None]).astype(float)
    witness = quality.fit_witness(anchors)
    assert len(queries)
    for x in range(len(queries)):
        found = np.asarray(quality.evidence(witness, queries[x]))
        for y in range(anchors.num_classes):
            l_y = (labels == y).astype(float)
            total = 0.0
            for j in range(m):
                k = k_xa[x, j] - k_xa[x].mean() - k_aa[:, j].mean() + k_aa.mean()
                label = l_y[j] - l_y.mean() - l_aa[:, j].mean() + l_aa.mean()
                total += k * label / m
            assert found[y] == pytest.approx(total, abs=2e-6)


def test_mean_witness_over_the_anchors_is_their_hsic():
    anchors, _ = _anchors(seed=3)
    witness = quality.fit_witness(anchors)
    values = jax.vmap(lambda f: quality.evidence(witness, f))(jnp.asarray(anchors.features))
    own = np.asarray(values)[np.arange(len(anchors.labels)), anchors.labels]
    gram = dependence.rbf(jnp.asarray(anchors.features), jnp.asarray(anchors.features), bandwidth=witness.bandwidth)
    label_gram = dependence.delta(jnp.asarray(anchors.labels), jnp.asarray(anchors.labels), dtype=jnp.float32)
    assert own.mean() == pytest.approx(float(dependence.hsic_biased(gram, label_gram)), rel=1e-4)


def test_leave_one_out_is_refitting_without_each_anchor():
    anchors, _ = _anchors(seed=1)
    gram = _kernel(anchors.features, anchors.features, 1.7)
    targets = np.eye(anchors.num_classes)[anchors.labels]
    m = len(gram)
    ridges = (1e-3, 1e-1)
    expected = []
    for ridge in ridges:
        total = 0.0
        for i in range(m):
            rest = np.delete(np.arange(m), i)
            # Ridge with a free intercept: [K + m lambda I, 1; 1', 0], the ridge of the full fit.
            system = np.block(
                [[gram[np.ix_(rest, rest)] + m * ridge * np.eye(m - 1), np.ones((m - 1, 1))], [np.ones((1, m - 1)), 0]]
            )
            solution = np.linalg.solve(system, np.vstack([targets[rest], np.zeros((1, targets.shape[1]))]))
            prediction = gram[i, rest] @ solution[:-1] + solution[-1]
            total += ((targets[i] - prediction) ** 2).mean()
        expected.append(total / m)
    np.testing.assert_allclose(quality.leave_one_out_errors(gram, targets, ridges), expected, rtol=1e-8)


def test_regularised_witness_chooses_by_leave_one_out_and_estimates_probabilities():
    anchors, queries = _anchors(per_class=(30, 30, 30), seed=2)
    multiples, ridges = (0.25, 1.0), (1e-5, 1e-2, 1e-1)
    witness, choice = quality.fit_regularised_witness(anchors, bandwidths=multiples, ridges=ridges)
    errors = {}
    for multiple, ridge in itertools.product(multiples, ridges):
        _, one = quality.fit_regularised_witness(anchors, bandwidths=(multiple,), ridges=(ridge,))
        errors[multiple, ridge] = one.error
    assert min(errors, key=errors.get) == (choice.bandwidth_multiple, choice.ridge)
    values = jax.vmap(lambda f: quality.evidence(witness, f))(jnp.asarray(queries))
    np.testing.assert_allclose(np.asarray(values).sum(axis=1), 1.0, atol=1e-4)
    fitted = jax.vmap(lambda f: quality.shares(witness, f))(jnp.asarray(anchors.features))
    assert (np.asarray(fitted).argmax(axis=1) == anchors.labels).mean() > 0.9


def test_class_vectors_give_the_softmax_classifier():
    rng = np.random.default_rng(0)
    vectors, bias, feature = (rng.normal(size=s).astype(np.float32) for s in ((5, 8), 5, 8))
    witness = quality.fit_class_vectors(quality.ClassVectors(vectors, bias))
    logits = vectors.astype(np.float64) @ feature + bias
    expected = np.exp(logits - logits.max())
    np.testing.assert_allclose(quality.shares(witness, feature), expected / expected.sum(), rtol=1e-5)
    best = int(logits.argmax())
    second = np.sort(logits)[-2]
    assert float(quality.margin(witness, feature, best)) == pytest.approx(logits[best] - second, rel=1e-5)
    assert float(quality.spread(witness, feature)) == pytest.approx(logits[best] - second, rel=1e-5)
    assert float(quality.peak(witness, feature)) == pytest.approx(logits[best], rel=1e-5)


def test_a_class_without_anchors_is_undefined_with_the_label_and_ignored_without():
    anchors, queries = _anchors(per_class=(6, 0, 5))
    for witness in (quality.fit_witness(anchors), quality.fit_regularised_witness(anchors)[0]):
        assert np.isnan(quality.margin(witness, queries[0], 1))
        assert np.isnan(quality.share_of_label(witness, queries[0], 1))
        assert np.isfinite(quality.margin(witness, queries[0], 0))
        for score in (quality.peak, quality.spread, quality.negative_entropy):
            assert np.isfinite(score(witness, queries[0]))
        assert quality.shares(witness, queries[0])[1] == 0


def test_bad_anchors_are_refused():
    anchors, _ = _anchors()
    one_class = anchors._replace(labels=np.zeros_like(anchors.labels))
    with pytest.raises(causal_iqa.InputError, match="at least 2 classes"):
        quality.fit_witness(one_class)
    with pytest.raises(ValueError, match="labels"):
        quality.fit_witness(anchors._replace(labels=anchors.labels + 1))
    with pytest.raises(causal_iqa.InputError, match="blind"):
        quality.fit_witness(anchors._replace(features=np.ones_like(anchors.features)))
    with pytest.raises(ValueError, match="finite"):
        quality.fit_witness(anchors._replace(features=anchors.features * np.nan))
    with pytest.raises(ValueError, match="bias"):
        quality.fit_class_vectors(quality.ClassVectors(np.ones((3, 2)), np.ones(2)))


def test_every_row_says_what_it_reads_beside_the_image():
    found = {name: spec.reads_beside() for name, spec in quality.TABLE.items()}
    assert found["stages_free"] == found["ridge_free"] == ("anchor_labels",)
    assert found["stages_guided"] == ("image_label", "anchor_labels")
    assert found["stages_clean"] == ("clean_image", "anchor_labels")
    assert found["head_free"] == ("class_vectors",) and found["head_guided"] == ("image_label", "class_vectors")
    assert found["clean_cosine"] == ("clean_image",)
    assert quality.TABLE["ridge_guided"].reads_beside("head") == ("image_label", "class_vectors")
    assert quality.TABLE["head_free"].reads_beside("text") == ("class_names",)
    for spec in quality.DATASET_TABLE.values():
        assert spec.reads == (("clean_image", "image_label") if spec.target == "labels" else ("clean_image",))
