"""A random sample of the images of a large run, small enough that its audit ends; the audit states it."""

import jax
import numpy as np

from causal_iqa import _keys, pipeline

# Numbers that are judged, rows times scores: their bootstrap takes half of the time and most of the memory.
MOST_VALUES = 9_000_000
# The scores that every network's outputs give beside those of the table.
_OUTPUT_SCORES = 8


def at_most(run: pipeline.Run, *, most_values: int = MOST_VALUES) -> pipeline.Run:
    """Takes images of a run at random, with all their conditions, where it has more numbers than are judged.

    Args:
      run: a finished run.
      most_values: rows times scores that are kept; 30 images are kept in any case.

    Returns:
      The run itself, or one with fewer images in its table; the same images for the same run.
    """
    table = run.table
    num_images, num_scores = len(table.image_ids), len({column.metric for column in run.columns}) + _OUTPUT_SCORES
    most = max(30, most_values // (num_scores * len(table.conditions)))
    if num_images <= most:
        return run
    key = _keys.named(run.config.seed, "audit, images of a large run")
    some = np.sort(np.asarray(jax.random.permutation(key, num_images))[:most])
    return run._replace(
        table=table._replace(
            image_ids=tuple(table.image_ids[i] for i in some),
            labels=table.labels[some],
            columns={name: values[:, some] for name, values in table.columns.items()},
            vectors={name: values[:, some] for name, values in table.vectors.items()},
        )
    )
