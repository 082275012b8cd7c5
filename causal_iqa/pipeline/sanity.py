"""What the clean images say of the judged networks: is each wrapped rightly?"""

import time
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from causal_iqa import _checks, _kept_programs, backbones, data, images
from causal_iqa.pipeline.execution import DEFAULT_EXECUTION, Execution
from causal_iqa.pipeline.outputs import are_finite
from causal_iqa.pipeline.study import Study

# Images of a first look, images per step, and the seconds after which it ends with the images judged so far.
_IMAGES, _STEP, _SECONDS = 64, 16, 20.0
# Fewer images say nothing about chance.
_LEAST_IMAGES = 10
_CHANCE_LEVEL = 0.05


class CleanAccuracy(NamedTuple):
    """What the clean images say of one network.

    Attributes:
      network: its name.
      accuracy: over the images for which its outputs are finite; NaN without any.
      num_images: how many these are.
      num_undefined: images for which its outputs are not finite.
      warnings: what is wrong with it, each in one line; empty where nothing is.
    """

    network: str
    accuracy: float
    num_images: int
    num_undefined: int
    warnings: tuple[str, ...]

    @property
    def mean(self) -> float:
        """Returns the accuracy."""
        return self.accuracy

    def line(self) -> str:
        """Says the accuracy in one line."""
        shown = "undefined" if not self.num_images else f"{100 * self.accuracy:.1f} % of {self.num_images} images"
        return f"network {self.network}: clean accuracy {shown}"


class CleanPerformance(NamedTuple):
    """How one network performs on the clean images, where its performance is no accuracy.

    Attributes:
      network: its name.
      mean: over the images that have a performance; NaN without any.
      num_images: how many these are.
      num_undefined: clean images without a number.
      warnings: what is wrong, each in one line.
    """

    network: str
    mean: float
    num_images: int
    num_undefined: int
    warnings: tuple[str, ...]


def clean_performance(network: str, values: np.ndarray) -> CleanPerformance:
    """Measures how a network performs on the clean images.

    Args:
      network: its name.
      values: [N], not finite where performance is missing.

    Returns:
      The mean, with a warning where clean images have none.

    Examples:
      >>> pipeline.clean_performance("net", np.array([0.5, 1.0, np.nan])).network
      'net'
    """
    values = np.asarray(values, np.float64)
    defined = np.isfinite(values)
    num, undefined = int(defined.sum()), int((~defined).sum())
    said = f"network {network}: {undefined} of {len(values)} clean images have no performance and are left out"
    mean = float(values[defined].mean()) if num else float("nan")
    return CleanPerformance(network, mean, num, undefined, (said,) if undefined else ())


def clean_accuracy(network: str, predictions: np.ndarray, labels: np.ndarray, num_classes: int) -> CleanAccuracy:
    """Judges a network on clean images, and warns where it is likely to be wrapped wrongly.

    Args:
      network: its name.
      predictions: [N] classes, not finite where its outputs are not.
      labels: int [N].
      num_classes: number of classes of the task.

    Returns:
      The accuracy, with warnings where outputs are not finite, where all predictions are one class although the labels
      are not, and where the accuracy is no better than that of a guess (binomial test, one-sided, at 5 %).

    Examples:
      >>> pipeline.clean_accuracy("net", np.array([0, 1, 1]), np.array([0, 1, 0]), 2).network
      'net'
    """
    predictions, labels = np.asarray(predictions, np.float64), np.asarray(labels)
    defined = np.isfinite(predictions)
    num, undefined = int(defined.sum()), int((~defined).sum())
    hits = int((predictions[defined] == labels[defined]).sum())
    warnings = []
    if undefined:
        warnings.append(
            f"network {network}: its outputs are not finite for {undefined} of {len(labels)} clean images; they are "
            "left out"
        )
    if num >= _LEAST_IMAGES and len(np.unique(predictions[defined])) == 1 and len(np.unique(labels[defined])) > 1:
        warnings.append(
            f"network {network}: it predicts class {int(predictions[defined][0])} for all {num} clean images; is its "
            "preprocessing right?"
        )
    elif num >= _LEAST_IMAGES and stats.binom.sf(hits - 1, num, 1 / num_classes) > _CHANCE_LEVEL:
        warnings.append(
            f"network {network}: its clean accuracy, {100 * hits / num:.1f} % of {num} images, is that of a guess "
            f"({100 / num_classes:.3g} %); are its preprocessing and the order of the classes right?"
        )
    return CleanAccuracy(network, hits / num if num else float("nan"), num, undefined, tuple(warnings))


def first_look(study: Study, execution: Execution = DEFAULT_EXECUTION) -> tuple[CleanAccuracy, ...]:
    """Judges every network on a few clean images of the study, before the long run.

    Args:
      study: that is prepared.
      execution: how it runs.

    Returns:
      One for each classifier, in order.

    Raises:
      InputError: when a network's outputs are finite for none of the images.

    Examples:
      >>> network = pipeline.NetworkChoice("net", "scene_cnn_a")
      >>> config = pipeline.StudyConfig(
      ...     num_images=2, networks=(network,), metrics=("mse",), degradations=("contrast",), severities=(3.0,)
      ... )
      >>> study = pipeline.prepare(config)
      >>> [one.num_images for one in pipeline.first_look(study)]
      [2]
    """
    batches = data.batches(
        study.source,
        study.indices[:_IMAGES],
        batch_size=min(_STEP, len(study.indices)),
        size=study.image_size,
        crop_fraction=study.config.crop_fraction,
        workers=execution.workers,
    )
    judged = {name: one for name, one in study.networks.items() if one.task is None}
    if not judged:
        return ()
    mapped = {name: jax.vmap(_predictor(one), in_axes=(None, 0)) for name, one in judged.items()}
    predict = {name: _kept_programs.Function(function) for name, function in mapped.items()}
    found: Mapping[str, list[np.ndarray]] = {name: [] for name in predict}
    labels, start = [], time.monotonic()
    for batch in batches:
        for name, function in predict.items():
            predictions = np.asarray(function(study.networks[name].params, batch.images))
            found[name].append(predictions[batch.valid])
        labels.append(batch.labels[batch.valid])
        if time.monotonic() - start > _SECONDS:
            break
    known = np.concatenate(labels)
    looked = []
    for name, network in judged.items():
        one = clean_accuracy(name, np.concatenate(found[name]), known, network.num_classes)
        if one.num_undefined and not one.num_images:
            raise _checks.InputError(
                f"network {name}: its outputs are not finite for any of {one.num_undefined} clean images; check its "
                "weights and preprocessing"
            )
        looked.append(one)
    return tuple(looked)


def _predictor(network: backbones.Network):
    """The class of one uint8 image, NaN where the outputs are not finite."""

    apply, preprocessing = network.apply, network.preprocessing

    def predict(params, image):
        logits, _ = apply(params, backbones.to_input(preprocessing, images.from_uint8(image)))
        return jnp.where(are_finite(logits), jnp.argmax(logits), jnp.nan)

    return predict
