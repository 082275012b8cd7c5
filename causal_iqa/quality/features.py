"""What the witnesses over stages read of an image: the stages of a network as means and deviations over places."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from causal_iqa.quality.witness import StageFeatures


def inner_stages(shapes: Mapping[str, tuple[int, ...]], order: Sequence[str]) -> tuple[str, ...]:
    """Chooses the stages between the first and the last resolution of a network.

    Args:
      shapes: stage -> shape of its features, [h, w, c] for maps, [n, c] for tokens.
      order: stages from input to output.

    Returns:
      The last stage at each resolution but the first and the last one. Where that leaves none (tokens, which keep one
      resolution), the stages at a third and two thirds of the depth; nothing for a network without maps.

    Examples:
      >>> shapes = {"stem": (16, 16, 8), "middle": (8, 8, 16), "last": (4, 4, 32)}
      >>> quality.inner_stages(shapes, ["stem", "middle", "last"])
      ('middle',)
    """
    maps = [name for name in order if name in shapes and len(shapes[name]) >= 2]
    last_at = {shapes[name][:-1]: name for name in maps}
    chosen = tuple(last_at.values())[1:-1]
    if chosen or not maps:
        return chosen
    return tuple(dict.fromkeys((maps[(len(maps) - 1) // 3], maps[2 * (len(maps) - 1) // 3])))


def stage_features(stages: Mapping[str, jax.Array], order: Sequence[str], final: str) -> StageFeatures:
    """Reduces the stages of a network to what the witnesses read: means and standard deviations over places.

    Args:
      stages: stage -> features of one image.
      order: stages from input to output.
      final: the stage of the penultimate features [d].

    Returns:
      The features; `early` is `final` for a network without inner stages.

    Examples:
      >>> stages = {"stem": jnp.ones((8, 8, 4)), "middle": jnp.ones((4, 4, 6)), "penultimate": jnp.ones(5)}
      >>> features = quality.stage_features(stages, ["stem", "middle", "penultimate"], "penultimate")
      >>> features.final.shape, features.early.shape
      ((5,), (4,))
    """
    chosen = inner_stages({name: value.shape for name, value in stages.items()}, order)
    inner = []
    for name in chosen:
        places = stages[name].reshape(-1, stages[name].shape[-1])
        inner += [places.mean(axis=0), places.std(axis=0)]
    last = stages[final]
    return StageFeatures(last, inner[0] if inner else last, tuple(inner))


def with_inner_of(features: StageFeatures, smaller: StageFeatures) -> StageFeatures:
    """Adds the inner stages of the image at its own side to those of the enlarged one.

    Args:
      features: features of the image enlarged to what the backbone needs.
      smaller: features of the image at its own side.

    Returns:
      The features with the inner statistics of both; `early` is that of the smaller image.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> len(quality.with_inner_of(features, features).inner)
      2
    """
    return features._replace(early=smaller.early, inner=(*features.inner, *smaller.inner))


def joined(parts: Sequence[StageFeatures]) -> StageFeatures:
    """Returns the features of several backbones as those of one.

    Every statistic keeps a kernel of its own, and the final features side by side have one, too.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> both = quality.joined([features, features])
      >>> both.final.shape, len(both.inner)
      ((60, 8), 4)
    """
    return StageFeatures(
        jnp.concatenate([part.final for part in parts], axis=-1),
        jnp.concatenate([part.early for part in parts], axis=-1),
        tuple(x for part in parts for x in (part.final, *part.inner)),
    )


def statistics(features: StageFeatures) -> tuple[jax.Array, ...]:
    """Returns the statistics that have a kernel each."""
    return (features.final, *features.inner)
