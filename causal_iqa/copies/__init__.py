"""Degraded copies of a dataset on disk: any folder, list or TFDS dataset, images of any size.

`degrade(pixels, "fog/3", parameters="imagenet_c")` degrades one image; `prepare` and `write` degrade a dataset and
store the pixels of `degrade`, bit for bit.
"""

from causal_iqa.copies.annotations import FOLDER as ANNOTATIONS
from causal_iqa.copies.annotations import Moved, check_annotations, write_annotations
from causal_iqa.copies.config import FORMATS, PARAMETERS, SIDE_FILES, CopyConfig
from causal_iqa.copies.geometry import GEOMETRIC
from causal_iqa.copies.holding import hold
from causal_iqa.copies.jobs import Job, Task, prepare
from causal_iqa.copies.manifest import Copy, Part, Shard
from causal_iqa.copies.moving import move_boxes, move_mask
from causal_iqa.copies.names import degradation_of, folder_of
from causal_iqa.copies.records import Reader as RecordReader
from causal_iqa.copies.records import is_dataset
from causal_iqa.copies.single import degrade, image_key
from causal_iqa.copies.worker import Worker
from causal_iqa.copies.writing import begin, finish, write

__all__ = [
    "ANNOTATIONS",
    "FORMATS",
    "GEOMETRIC",
    "PARAMETERS",
    "SIDE_FILES",
    "Copy",
    "CopyConfig",
    "Job",
    "Moved",
    "Part",
    "RecordReader",
    "Shard",
    "Task",
    "Worker",
    "begin",
    "check_annotations",
    "degradation_of",
    "degrade",
    "finish",
    "folder_of",
    "hold",
    "image_key",
    "is_dataset",
    "move_boxes",
    "move_mask",
    "prepare",
    "write",
    "write_annotations",
]
