"""What every row promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import quality


def _anchors(num_classes=3, per_class=(6, 4, 5), d=4, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_classes, d)) * 2
    labels = np.repeat(np.arange(num_classes), per_class)
    features = (centres[labels] + rng.normal(size=(len(labels), d))).astype(np.float32)
    return quality.Anchors(features, labels, num_classes), rng.normal(size=(7, d)).astype(np.float32)


def _fit(witness, anchors, stages):
    if witness == "plain":
        return quality.fit_witness(anchors)
    if witness == "regularised":
        return quality.fit_regularised_witness(anchors)[0]
    if witness == "stages":
        return quality.fit_stages_witness(stages, anchors.labels, anchors.num_classes)[0]
    if witness == "detectors":
        return quality.fit_detectors(_fit("stages", anchors, stages), stages)
    if witness in ("success", "ranks"):
        fitted, choice = quality.fit_stages_witness(stages, anchors.labels, anchors.num_classes)
        draw, scales = np.random.default_rng(1), np.array([0.1, 0.5, 2.0, 50.0])
        copies = jax.tree.map(
            lambda x: np.concatenate([x + s * draw.normal(size=x.shape) for s in scales]).astype(np.float32), stages
        )
        origins = np.tile(np.arange(len(anchors.labels)), len(scales))
        if witness == "ranks":
            fitted = quality.fit_detectors(fitted, stages)
            return quality.fit_ranks(fitted, choice, stages, anchors.labels, copies, origins)[0]
        return quality.fit_success(fitted, choice, stages, anchors.labels, copies, origins)[0]
    # Class means as class vectors: the classifier of nearest means.
    means = np.stack([anchors.features[anchors.labels == c].mean(axis=0) for c in range(anchors.num_classes)])
    return quality.fit_class_vectors(quality.ClassVectors(means, -0.5 * (means**2).sum(axis=1)))


@pytest.mark.parametrize("name", quality.TABLE)
def test_contract_of_the_table(name):
    anchors, queries = _anchors()
    spec = quality.TABLE[name]
    assert spec.name == name and spec.family in ("label_free", "task_guided", "feature_reference")
    assert spec.witness in (*quality.WITNESSES, "none")

    def stages_of(features):
        return quality.StageFeatures(features, features[..., :2], (features[..., 1:],), (features,))

    fitted = None if spec.witness == "none" else _fit(spec.witness, anchors, stages_of(anchors.features))
    labels = np.arange(len(queries)) % 3
    clean = stages_of(jnp.asarray(anchors.features[0]))

    def score(feature, label):
        return quality.evaluate(spec, fitted, stages_of(feature), label, clean)

    mapped = np.asarray(jax.jit(jax.vmap(score))(queries, labels))
    assert mapped.shape == (len(queries),) and np.isfinite(mapped).all()
    np.testing.assert_allclose(mapped, [score(q, y) for q, y in zip(queries, labels, strict=True)], atol=1e-5)
    unlabelled = np.asarray(score(queries[0], -1))
    assert np.isnan(unlabelled) if spec.needs_label else unlabelled == np.float32(score(queries[0], 0))
    if spec.witness not in (
        "head",
        "none",
    ):  # A linear witness grows along its class vectors; kernels forget what is far.
        own = np.asarray(jax.vmap(score)(jnp.asarray(anchors.features), anchors.labels))
        far = np.asarray(jax.vmap(score)(jnp.full(anchors.features.shape, 50.0), anchors.labels))
        assert own.mean() > far.mean()
    assert set(spec.passport()) >= {"name", "family", "convention", "reference", "higher_is_better"}
