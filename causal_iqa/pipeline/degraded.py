"""The very images that a study scores, for networks that are run elsewhere and come back as a table of performance."""

import functools
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from causal_iqa import _kept_programs, data, images
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import ladders, piece_functions, rows
from causal_iqa.pipeline.config import StudyConfig

# Of so many images the first that can be read is shown.
_TRIED = 8


def sample_images(study: rows.Work, *, most: int = 8) -> tuple[tuple[str, np.ndarray], ...]:
    """Shows one image of a study, clean and at the heaviest severity of some degradations.

    Args:
      study: result of `prepare`.
      most: number of degradations, spread over those of the study.

    Returns:
      (condition, uint8 [S, S, 3]), clean first; empty where none of the first images can be read.

    Examples:
      >>> networks = (pipeline.NetworkChoice("net", "scene_cnn_a"),)
      >>> config = pipeline.StudyConfig(networks=networks, degradations=("contrast",), severities=(1, 3), num_images=20)
      >>> [name for name, _ in pipeline.sample_images(pipeline.prepare(config))]
      ['clean', 'contrast/3']
    """
    heaviest: dict[str, int] = {}
    for place, condition in enumerate(study.interventions):
        if condition.severity > 0:
            there = heaviest.setdefault(condition.degradation, place)
            if condition.severity > study.interventions[there].severity:
                heaviest[condition.degradation] = place
    places = list(heaviest.values())
    if len(places) > most:
        places = [places[round(i)] for i in np.linspace(0, len(places) - 1, most)]
    chosen = [0, *places]
    conditions = [study.interventions[i] for i in chosen]
    read = data.batches(
        study.copies or study.source,
        study.indices[:_TRIED],
        batch_size=1,
        size=study.image_size,
        crop_fraction=study.crop_fraction,
        workers=1,
        prefetch=0,
    )
    for batch in read:
        if not batch.valid[0]:
            continue
        if study.copies is not None:
            pixels = batch.images[0][chosen]
        else:
            degrade = _kept_programs.Function(functools.partial(_as_shown, study.seed, tuple(conditions)))
            pixels = np.asarray(degrade(np.uint32(piece_functions.stable_hash(batch.ids[0])), batch.images))
        # How all of them are kept stands among the settings.
        names = [one.name.partition("|")[0] if one.severity > 0 else one.degradation for one in conditions]
        return tuple(zip(names, pixels, strict=True))
    return ()


def _as_shown(seed: int, conditions: Sequence[Condition], salt: jax.Array, pixels: jax.Array) -> jax.Array:
    """One image uint8 [1, S, S, 3] under all conditions, uint8 [C, S, S, 3]."""
    key = jax.random.fold_in(jax.random.key(seed), salt)
    degraded = ladders.degrade_all(conditions, key[None], images.from_uint8(pixels))[:, 0]
    return jax.vmap(images.to_uint8)(degraded)


def degraded_images(
    config: StudyConfig, source: data.Source, indices: Sequence[int] | np.ndarray, image_size: int, *, workers: int = 2
) -> Iterator[tuple[str, np.ndarray]]:
    """Degrades images as a study does, from the same keys: one after the other, under all its conditions.

    Args:
      config: configuration of the study.
      source: its judged images.
      indices: positions in it; unreadable images are left out, as the study leaves them out.
      image_size: side in pixels of the images that are degraded.
      workers: threads that decode images.

    Yields:
      (id, float32 [C, image_size, image_size, 3] in [0, 1]), conditions in the order of `config.conditions`. The study
      compiles another program around them, whose images differ from these by rounding.

    Examples:
      >>> networks = (pipeline.NetworkChoice("net", "scene_cnn_a"),)
      >>> config = pipeline.StudyConfig(networks=networks, degradations=("contrast",), severities=(1.0, 3.0))
      >>> image_id, degraded = next(pipeline.degraded_images(config, data.open_source("scenes"), [0], 32))
      >>> len(config.conditions), degraded.shape[1:]
      (3, (32, 32, 3))
    """
    conditions = config.interventions_at(image_size)

    @jax.jit
    def degrade(salt: jax.Array, pixels: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(config.seed), salt)
        return ladders.degrade_all(conditions, key[None], images.from_uint8(pixels)[None])[:, 0]

    read = functools.partial(data.batches, batch_size=1, size=image_size, workers=workers)
    for batch in read(source, indices, crop_fraction=config.crop_fraction):
        if batch.valid[0]:
            salt = np.uint32(piece_functions.stable_hash(batch.ids[0]))
            yield batch.ids[0], np.asarray(degrade(salt, batch.images[0]))
