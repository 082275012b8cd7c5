"""Images in: TFDS data sources, class folders, the embedded scenes, and the one batcher."""

from causal_iqa.data.batches import CROP_FRACTION, Batch, batches, choose, fit
from causal_iqa.data.folder import FolderSource, open_folder, open_images, read_classes
from causal_iqa.data.open import open_source
from causal_iqa.data.sources import Example, Source, UnreadableImage
from causal_iqa.data.tfds_source import TfdsSource, open_tfds

__all__ = [
    "CROP_FRACTION",
    "Batch",
    "Example",
    "FolderSource",
    "Source",
    "TfdsSource",
    "UnreadableImage",
    "batches",
    "choose",
    "fit",
    "open_folder",
    "open_images",
    "open_source",
    "open_tfds",
    "read_classes",
]
