"""A judged network's outputs for one image: what is kept of them, and how stable they are over changed views of it."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import backbones, estimators
from causal_iqa._arrays import Params

# Most probable classes kept of every image, and penultimate features of the network that is judged.
KEPT_CLASSES = 32
KEPT_EMBEDDING = 128
# And of every image's features through a backbone, projected where longer.
KEPT_FEATURES = 128
# Of the views: largest shift as a fraction of the side, and the deviation of the noise, two grey levels of 255.
_SHIFT, _NOISE = 1 / 16, 2 / 255


def performance(network: backbones.Network, params: Params, image: jax.Array, label: jax.Array) -> dict[str, jax.Array]:
    """Judges one image.

    Args:
      network: the network that is judged.
      params: its parameters.
      image: [S, S, 3] in [0, 1], of any side.
      label: scalar int; negative: unlabelled, "correct" and "p_true" are NaN.

    Returns:
      "correct" (0 or 1), "p_true", "confidence", "prediction", "entropy" (nats), "margin" (of the two largest
      probabilities), "energy" (log-sum-exp of the logits) and the three `estimators.MatrixNormTerms`, scalars; the
      KEPT_CLASSES largest "log_probabilities" float16 and their "classes" uint16; "power_sums",
      `estimators.log_power_sums`, where there are more classes than are kept; "embedding", `kept_embedding` float16, of
      a network that gives features. The scalars are NaN where the outputs are not finite, see `are_finite`.
    """
    logits, features = network.apply(params, backbones.to_input(network.preprocessing, image))
    probabilities, log_probabilities = jax.nn.softmax(logits), jax.nn.log_softmax(logits)
    likely, _ = jax.lax.top_k(probabilities, 2)
    prediction = jnp.argmax(logits)
    scalars = {
        "correct": jnp.where(label >= 0, (prediction == label).astype(jnp.float32), jnp.nan),
        "p_true": jnp.where(label >= 0, probabilities[label], jnp.nan),
        "confidence": likely[0],
        "prediction": prediction,
        "entropy": jax.scipy.special.entr(probabilities).sum(),
        "margin": likely[0] - likely[1],
        "energy": jax.nn.logsumexp(logits),
        **estimators.matrix_norm_terms(logits)._asdict(),
    }
    for spec in estimators.TABLE.values():  # Those whose formulas share nothing with the above.
        if spec.needs == ("logits",) and spec.column not in scalars:
            scalars[spec.column] = spec.fn(logits)
    finite = are_finite(logits)
    found = {name: jnp.where(finite, value, jnp.nan) for name, value in scalars.items()}
    found |= _most_likely(log_probabilities)
    if backbones.PENULTIMATE in features:
        found["embedding"] = kept_embedding(features[backbones.PENULTIMATE])
    return found


def are_finite(logits: jax.Array) -> jax.Array:
    """Whether logits give class probabilities: none is NaN or plus infinity, and not all are minus infinity.

    Args:
      logits: [num_classes].

    Returns:
      Scalar bool.
    """
    # The largest carries every NaN. Asked of a softmax, XLA answers yes without a look.
    return jnp.isfinite(jnp.max(logits))


def _most_likely(log_probabilities: jax.Array) -> dict[str, jax.Array]:
    num_classes = log_probabilities.shape[0]
    kept, classes = jax.lax.top_k(log_probabilities, min(KEPT_CLASSES, num_classes))
    found = {"log_probabilities": kept.astype(jnp.float16), "classes": classes.astype(jnp.uint16)}
    if num_classes > KEPT_CLASSES:
        found["power_sums"] = estimators.log_power_sums(log_probabilities)
    return found


def kept_embedding(features: jax.Array) -> jax.Array:
    """Keeps KEPT_EMBEDDING penultimate features, the same ones for every image: all of them where there are no more.

    Sums over features are then estimated without bias by those kept, times d over their number.

    Args:
      features: [d].

    Returns:
      float16 [min(d, KEPT_EMBEDDING)], in their order.
    """
    d = features.shape[0]
    chosen = np.sort(np.random.default_rng(d).permutation(d)[:KEPT_EMBEDDING])
    return features[chosen].astype(jnp.float16)


def second_opinion(
    backbone: backbones.Network, params: Params, glances: Sequence[jax.Array], num_classes: int
) -> dict[str, jax.Array]:
    """What a backbone's own classifier says of one image, where it is a network for the same classes.

    Args:
      backbone: gives the features.
      params: its parameters.
      glances: penultimate features [d] of the image at several sides; their class probabilities are averaged.
      num_classes: number of classes of the task.

    Returns:
      "head_log_probabilities", "head_classes" and, with more classes than are kept, "head_power_sums", as `performance`
      has them; nothing without such a classifier.
    """
    if backbone.classifier is None or backbone.num_classes != num_classes:
        return {}
    kernel, bias = backbone.classifier(params)
    each = [jax.nn.log_softmax(jnp.matmul(x, kernel, precision="highest") + bias) for x in glances]
    mean = jax.nn.logsumexp(jnp.stack(each), axis=0) - np.log(len(each))
    return {f"head_{field}": value for field, value in _most_likely(mean).items()}


def witness_opinion(shares: jax.Array) -> dict[str, jax.Array]:
    """What the witness over stages says of one image: its most likely classes.

    Args:
      shares: [num_classes], summing to 1.

    Returns:
      "witness_log_probabilities" and "witness_classes", as `performance` has them.
    """
    log_shares = jnp.log(jnp.maximum(shares, jnp.finfo(jnp.float32).tiny))
    found = _most_likely(log_shares)
    return {f"witness_{field}": found[field] for field in ("log_probabilities", "classes")}


def kept_coordinates(coordinates: jax.Array) -> jax.Array:
    """Keeps KEPT_FEATURES whitened coordinates of the earliest inner stage, all where there are no more.

    Args:
      coordinates: [e], the directions of the largest variance of the anchors last.

    Returns:
      float16 [min(e, KEPT_FEATURES)], those of the largest variance; numbers beyond float16 are cut off.
    """
    largest = jnp.finfo(jnp.float16).max
    return jnp.clip(coordinates[-KEPT_FEATURES:], -largest, largest).astype(jnp.float16)


def changed_view(key: jax.Array, image: jax.Array, number: jax.Array) -> jax.Array:
    """One slightly changed view: every second one mirrored, shifted by up to a sixteenth of the side, slight noise.

    Args:
      key: random key of this view.
      image: [S, S, 3] in [0, 1], at the network's input size.
      number: number of the view; odd ones are mirrored.

    Returns:
      [S, S, 3] in [0, 1]; pixels that a shift uncovers show the image reflected at its border.
    """
    key_shift, key_noise = jax.random.split(key)
    reach = max(1, round(_SHIFT * min(image.shape[:2])))
    mirrored = jnp.where(number % 2 == 1, image[:, ::-1], image)
    padded = jnp.pad(mirrored, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    row, column = jax.random.randint(key_shift, (2,), 0, 2 * reach + 1)
    shifted = jax.lax.dynamic_slice(padded, (row, column, 0), image.shape)
    return jnp.clip(shifted + _NOISE * jax.random.normal(key_noise, image.shape), 0.0, 1.0)


def stability(
    key: jax.Array, network: backbones.Network, params: Params, image: jax.Array, *, num_views: int
) -> dict[str, jax.Array]:
    """Runs the network on views of one image, one after the other.

    Args:
      key: random key of the views.
      network: the network that is judged.
      params: its parameters.
      image: [S, S, 3] in [0, 1], of any side.
      num_views: passes, static int, at least 2.

    Returns:
      The rows of `estimators.TABLE` that need "passes" or "embeddings", such as "ser_fiq": scalars, higher is better.
    """
    seen = backbones.to_input(network.preprocessing, image)

    def one(number: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        logits, features = network.apply(params, changed_view(jax.random.fold_in(key, number), seen, number))
        return logits, features.get(backbones.PENULTIMATE)

    # One view at a time, so that the activations of a block need no more memory than without this.
    logits, embeddings = jax.lax.map(one, jnp.arange(num_views))
    given: dict[tuple[str, ...], jax.Array | None] = {("passes",): logits, ("embeddings",): embeddings}
    return {
        spec.column: spec.fn(given[spec.needs])
        for spec in estimators.TABLE.values()
        if given.get(spec.needs) is not None
    }


def keeping_projections(feature_backbones: Mapping[str, backbones.Network]) -> dict[str, np.ndarray | None]:
    """Draws the random projections under which long features are kept.

    They keep inner products and distances in the mean (Johnson and Lindenstrauss 1984) and depend on the length of the
    features only, so that kept features of one backbone can be compared across runs.

    Args:
      feature_backbones: name -> network that gives features.

    Returns:
      name -> float32 [d, KEPT_FEATURES], None where d is at most KEPT_FEATURES and features are kept unchanged.
    """
    projections = {}
    for name, backbone in feature_backbones.items():
        image = jax.ShapeDtypeStruct((backbone.preprocessing.size,) * 2 + (3,), jnp.float32)
        d = jax.eval_shape(backbone.apply, backbone.params, image)[1][backbones.PENULTIMATE].shape[0]
        drawn = np.random.default_rng(d).standard_normal((d, KEPT_FEATURES)) / np.sqrt(KEPT_FEATURES)
        projections[name] = drawn.astype(np.float32) if d > KEPT_FEATURES else None
    return projections


def kept_features(features: jax.Array, projection: jax.Array | None) -> jax.Array:
    """Keeps the features of a backbone.

    Args:
      features: [d].
      projection: result of `keeping_projections`.

    Returns:
      float16 [min(d, KEPT_FEATURES)].
    """
    if projection is not None:
        features = jnp.matmul(features, projection, precision="highest")
    return features.astype(jnp.float16)
