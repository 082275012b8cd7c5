"""Images through the compiled program: what a study and the scoring of a folder have in common."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from causal_iqa import backbones, data
from causal_iqa._arrays import Device
from causal_iqa.pipeline import given_copies, outputs, piece_functions, program, store
from causal_iqa.pipeline.columns import Output, ProgramState, Scorer, joined_name
from causal_iqa.pipeline.config import Condition
from causal_iqa.pipeline.execution import Execution, choose_block, local_devices
from causal_iqa.pipeline.views import View

BATCH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """Images, their interventions and the computations on each, with all inputs opened and checked.

    Attributes:
      source: source of the images.
      indices: positions in it, in the order of the rows.
      image_size: side in pixels of the images that are degraded.
      crop_fraction: central square cut from photos of varying size, fraction of the shorter side.
      interventions: C conditions; a scoring has the clean one alone.
      networks: name -> network that is judged; a scoring has none.
      feature_backbones: name -> network that gives features.
      views: the images that quality is scored on.
      scorers: scorers of the score columns.
      witnesses: `columns.witness_key` -> fitted witness.
      seed: seed of the degradations.
      stability_views: number of changed views of every image on which judged networks also run.
      remarks: lines that a user should read before the work begins.
      target_size: side of the masks that predictions are compared with; None: targets are not read.
      copies: copies of the images under the conditions, where they were degraded before; None: they are degraded here.
    """

    source: data.Source
    indices: np.ndarray
    image_size: int
    crop_fraction: float
    interventions: tuple[Condition, ...]
    networks: Mapping[str, backbones.Network]
    feature_backbones: Mapping[str, backbones.Network]
    views: tuple[View, ...]
    scorers: tuple[Scorer, ...]
    witnesses: Mapping[str, Any]
    seed: int = 0
    stability_views: int = 0
    remarks: tuple[str, ...] = ()
    target_size: int | None = None
    copies: given_copies.WithCopies | None = None


class Rows(NamedTuple):
    """What the program gives of some images: ids and labels [N], columns [C, N] or [C, N, K], (id, reason) left out."""

    ids: list[str]
    labels: np.ndarray
    columns: Mapping[str, np.ndarray]
    skipped: list[tuple[str, str]]


Step = Callable[[data.Batch], dict[str, np.ndarray]]


def choose_batch(work: Work, execution: Execution, devices: Sequence[Device]) -> tuple[int, int]:
    """Chooses how many images go through the program at once.

    Args:
      work: gives the image size and the number of conditions.
      execution: an explicit batch size is rounded up to whole blocks on every device.
      devices: that share the batch.

    Returns:
      (images per step over all devices, images per block). Blocks are smaller than program.BLOCK_IMAGES only where
      memory demands it.

    Raises:
      InputError: when not even one image fits the memory.

    Examples:
      >>> network = pipeline.NetworkChoice("net", "scene_cnn_a")
      >>> config = pipeline.StudyConfig(
      ...     num_images=2, networks=(network,), metrics=("mse",), degradations=("contrast",), severities=(3.0,)
      ... )
      >>> study = pipeline.prepare(config)
      >>> pipeline.choose_batch(study, pipeline.Execution(), jax.local_devices()[:1])
      (8, 8)
    """
    block = choose_block(work.image_size, work.views, len(work.interventions), execution, devices[0])
    slots = block * len(devices)
    size = min(execution.batch_size or BATCH, store.PART_IMAGES, len(work.indices))
    return math.ceil(size / slots) * slots, block


def make_step(work: Work, execution: Execution) -> tuple[Step, int]:
    """Builds the program of a work and puts its parameters on the devices.

    Args:
      work: what to compute.
      execution: how to run.

    Returns:
      (batch -> {column: [C, B] or [C, B, K]}, images in a batch).
    """
    devices = local_devices(execution)
    batch_size, block = choose_batch(work, execution, devices)
    compiled = program.make_program(
        seed=work.seed,
        conditions=work.interventions,
        networks=work.networks,
        feature_backbones=work.feature_backbones,
        views=work.views,
        scorers=work.scorers,
        devices=devices,
        stability_views=work.stability_views,
        given_copies=work.copies is not None,
    )
    state = ProgramState(
        networks={name: network.params for name, network in work.networks.items()},
        backbones={name: network.params for name, network in work.feature_backbones.items()},
        witnesses=dict(work.witnesses),
        projections=outputs.keeping_projections(work.feature_backbones),
    )
    mesh = jax.sharding.Mesh(np.asarray(devices), ("images",))
    state = jax.device_put(state, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
    slots = block * len(devices)

    def step(batch: data.Batch) -> dict[str, np.ndarray]:
        salts = np.asarray([piece_functions.stable_hash(name) for name in batch.ids], np.uint32)
        # All blocks are dispatched before the first result is fetched, so the devices do not wait for the host.
        truth = (batch.labels, batch.targets) if batch.targets else batch.labels
        blocks = [
            compiled(state, *jax.tree.map(lambda x, i=i: x[i : i + slots], (batch.images, truth, salts)))
            for i in range(0, len(salts), slots)
        ]
        found = [block.fetch() for block in blocks]
        return {name: np.concatenate([block[name] for block in found], axis=1) for name in found[0]}

    return step, batch_size


def outputs_of(work: Work, networks: Iterable[str], names: Iterable[str]) -> dict[str, Output]:
    """Says of which network or backbone the columns are that are no scores.

    Args:
      work: that computes them.
      networks: names of the judged networks.
      names: names of all columns.

    Returns:
      Column -> its definition.
    """
    owners = [(name, "") for name in networks]
    owners += [
        (name, view.suffix if len(work.views) > 1 else "")
        for view in work.views
        for name in (*view.backbone_sides, joined_name(view.backbone_sides))
    ]
    scores, found = {scorer.column.name for scorer in work.scorers}, {}
    for owner, view in owners:
        start = str(Output(owner, "", view))
        for name in names:
            if name.startswith(start) and name not in scores:
                found[name] = Output(owner, name.removeprefix(start), view)
    return found


def compute(work: Work, chosen: np.ndarray, step: Step, batch_size: int, workers: int) -> Iterator[Rows]:
    """Reads images and runs the program on them, batch by batch.

    Args:
      work: what to compute.
      chosen: positions in the source.
      step: result of `make_step`.
      batch_size: result of `make_step`.
      workers: threads that decode images.

    Yields:
      The rows of each batch.
    """
    for batch in data.batches(
        work.copies or work.source,
        chosen,
        batch_size=batch_size,
        size=work.image_size,
        crop_fraction=work.crop_fraction,
        workers=workers,
        target_size=work.target_size,
    ):
        columns = {name: values[:, batch.valid] for name, values in step(batch).items()}
        ids = list(itertools.compress(batch.ids, batch.valid))
        yield Rows(ids, np.asarray(batch.labels[batch.valid], np.int32), columns, list(batch.skipped))


def joined(found: Sequence[Rows]) -> Rows:
    """Returns the rows of several batches, one or more, as one."""
    return Rows(
        [name for rows in found for name in rows.ids],
        np.concatenate([rows.labels for rows in found]),
        {name: np.concatenate([rows.columns[name] for rows in found], axis=1) for name in found[0].columns},
        [one for rows in found for one in rows.skipped],
    )
