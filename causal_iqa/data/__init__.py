"""Images in: TFDS data sources, class folders, the embedded scenes, and the batcher."""

from causal_iqa.data.annotated import (
    AnnotatedSource,
    MaskTable,
    Target,
    open_boxes,
    open_masks,
    read_mask,
    read_mask_table,
)
from causal_iqa.data.arrays import ArraySource, open_arrays
from causal_iqa.data.batching import (
    CROP_FRACTION,
    Batch,
    LabelledImages,
    batches,
    choose,
    choose_labelled,
    fit,
    labels_of,
)
from causal_iqa.data.box_files import Boxes, read_boxes
from causal_iqa.data.budget import MAX_PIXELS
from causal_iqa.data.classes import CLASS_ORDERS, read_classes
from causal_iqa.data.facts import Facts, Looker, facts_of
from causal_iqa.data.folder import FolderSource, open_folder, open_images
from causal_iqa.data.identity import copies, place, shared_ids
from causal_iqa.data.open import check_spec, open_source
from causal_iqa.data.part import DerivedSource, Part
from causal_iqa.data.procedural import procedural_image, procedural_images
from causal_iqa.data.scenes import SIZE as SCENE_SIZE
from causal_iqa.data.scenes import SceneSource
from causal_iqa.data.sets import ImageSet, open_files, open_listing, open_sets, split_name
from causal_iqa.data.sources import UNLABELLED, Example, Source, UnreadableImage, examples, remarks
from causal_iqa.data.tfds_source import TfdsSource, open_tfds
from causal_iqa.data.walk import PassedOver

__all__ = [
    "CLASS_ORDERS",
    "CROP_FRACTION",
    "MAX_PIXELS",
    "SCENE_SIZE",
    "UNLABELLED",
    "AnnotatedSource",
    "ArraySource",
    "Batch",
    "Boxes",
    "DerivedSource",
    "Example",
    "Facts",
    "FolderSource",
    "ImageSet",
    "LabelledImages",
    "Looker",
    "MaskTable",
    "Part",
    "PassedOver",
    "SceneSource",
    "Source",
    "Target",
    "TfdsSource",
    "UnreadableImage",
    "batches",
    "check_spec",
    "choose",
    "choose_labelled",
    "copies",
    "examples",
    "facts_of",
    "fit",
    "labels_of",
    "open_arrays",
    "open_boxes",
    "open_files",
    "open_folder",
    "open_images",
    "open_listing",
    "open_masks",
    "open_sets",
    "open_source",
    "open_tfds",
    "place",
    "procedural_image",
    "procedural_images",
    "read_boxes",
    "read_classes",
    "read_mask",
    "read_mask_table",
    "remarks",
    "shared_ids",
    "split_name",
]
