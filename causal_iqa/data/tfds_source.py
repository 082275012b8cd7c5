"""TensorFlow Datasets prepared as array_record, read without TensorFlow.

A dataset is opened from its files alone, so neither its generating code nor the network is touched and any prepared
version serves. Images are decoded by this package, not by tfds, because the decoder of tfds depends on other installed
packages.
"""

import bisect
import dataclasses
import hashlib
import io
import itertools
import os
import pathlib
from typing import Any

import numpy as np

from causal_iqa import _checks
from causal_iqa.data import budget, decoding, names
from causal_iqa.data.sources import UNLABELLED, Example, UnreadableImage

_ID_FEATURES = ("id", "file_name")
_DEFAULT_SPLITS = ("test", "validation")


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """One split of a prepared dataset; `open_tfds` builds it.

    Attributes:
      name: "tfds:NAME" as given.
      split: the split as given, e.g. "test" or "train[:10%]".
      class_names: the classes in label order.
      image_shape: (height, width) of all images, None when sizes vary.
      records: the tfds data source with images left encoded.
      image_key: feature that holds the image.
      label_key: feature that holds the class label, None when images have none.
      id_key: feature that holds the id, None when the position is the id.
      spans: (first row, split name, position in that split) of each stretch of consecutive rows.
      full_name: what was opened, e.g. "cifar10/3.0.2".
      max_pixels: the most pixels of an image that is decoded.
    """

    name: str
    split: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int] | None
    records: Any
    image_key: str
    label_key: str | None
    id_key: str | None
    spans: tuple[tuple[int, str, int], ...]
    full_name: str
    max_pixels: int = budget.MAX_PIXELS

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Example:
        record = self._record(index)
        id = self._id(index, record)
        # tfds and TensorFlow ignore EXIF, and a fixed image shape would break if it were applied.
        image = decoding.decode(record[self.image_key], id, orient=False, max_pixels=self.max_pixels)
        return Example(image, UNLABELLED if self.label_key is None else int(record[self.label_key]), id)

    def id(self, index: int) -> str:
        """Returns the dataset's own id or file name, else "<split>/<position in the whole split>"."""
        return self._id(index, self._record(index) if self.id_key else None)

    def label(self, index: int) -> int:
        """Returns the class label; reads the record, decodes no image."""
        return UNLABELLED if self.label_key is None else int(self._record(index)[self.label_key])

    def place(self, index: int) -> tuple:
        """Returns the dataset with its version, the split and the position in it; reads nothing."""
        return "tfds", self.full_name, *self._span(self._check_index(index))

    def format(self, index: int) -> str | None:
        """Returns the format of an encoded image by the mark at its beginning, e.g. "JPEG"; reads the record."""
        return decoding.format_of(io.BytesIO(self._record(index)[self.image_key][:16]))

    def encoded_size(self, index: int) -> int:
        """Returns the size of the encoded image in bytes; reads the record."""
        return len(self._record(index)[self.image_key])

    def content(self, index: int) -> bytes:
        """Returns a digest of the encoded image; reads the record."""
        return hashlib.sha256(self._record(index)[self.image_key]).digest()

    def _record(self, index: int) -> dict[str, Any]:
        index = self._check_index(index)
        try:
            return self.records[index]
        except Exception as error:  # A damaged shard; which exception is up to its reader.
            raise UnreadableImage(self._position(index), _first_line(error)) from error

    def _check_index(self, index: int) -> int:
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"index: expected 0 to {len(self) - 1}, got {index}")
        return index

    def _id(self, index: int, record: dict[str, Any] | None) -> str:
        if self.id_key:
            assert record is not None, "an id that stands in a record is read from it"
            value = record[self.id_key]
            return names.text_of(value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value))
        return self._position(self._check_index(index))

    def _position(self, index: int) -> str:
        split, position = self._span(index)
        return f"{split}/{position}"

    def _span(self, index: int) -> tuple[str, int]:
        first, split, position = self.spans[bisect.bisect_right(self.spans, index, key=lambda span: span[0]) - 1]
        return split, position + index - first


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _build_command(name: str, data_dir: str) -> str:
    return f"tfds build {name} --file_format=array_record --data_dir={data_dir}"


def _missing(tfds: Any, name: str, data_dir: str) -> _checks.InputError:
    base = name.split(":")[0].split("/")[0]
    root = pathlib.Path(data_dir)
    # NAME/VERSION or NAME/CONFIG/VERSION; no deeper, so that a data_dir with a million files answers at once.
    infos = itertools.chain(root.glob("*/*/dataset_info.json"), root.glob("*/*/*/dataset_info.json"))
    prepared = sorted(path.parent.relative_to(root).as_posix() for path in infos)
    own = [path for path in prepared if path.split("/")[0] == base]
    if own:
        return _checks.InputError(f"tfds: {name!r} is not in {data_dir!r}; of {base!r} there is: {', '.join(own)}")
    if root.name == base and any(root.glob("*/dataset_info.json")):
        return _checks.InputError(
            f"tfds: {data_dir!r} is the folder of {base!r} itself; give the one above as data_dir"
        )
    registered = set(tfds.list_builders(with_community_datasets=False))
    if base not in registered:
        known = registered | {path.split("/")[0] for path in prepared}
        return _checks.InputError(f"tfds: unknown dataset {base!r}: {_checks.closest(base, known)}")
    state = "does not exist" if not root.is_dir() else f"holds: {', '.join(prepared[:10]) or 'no prepared dataset'}"
    return _checks.InputError(
        f"tfds: {name!r} is not prepared in {data_dir!r} (which {state}); "
        f"prepare it with `{_build_command(name, data_dir)}`, or allow the download (--download)"
    )


def _prepare(tfds: Any, name: str, data_dir: str) -> None:
    try:
        tfds.builder(name, data_dir=data_dir, file_format="array_record").download_and_prepare()
    except ImportError as error:
        raise _checks.InputError(
            f"tfds: preparing {name!r} needs a package that is not installed ({error}); "
            f"where it is, run `{_build_command(name, data_dir)}`"
        ) from error


def _find(tfds: Any, name: str, data_dir: str, download: bool) -> Any:
    from tensorflow_datasets.core import read_only_builder

    def from_files():
        return read_only_builder.builder_from_files(name, data_dir=data_dir)

    try:
        try:
            return from_files()
        except tfds.core.DatasetNotFoundError:
            if not download:
                raise
            _prepare(tfds, name, data_dir)
            return from_files()
    except tfds.core.DatasetNotFoundError:
        raise _missing(tfds, name, data_dir) from None
    except _checks.InputError:
        raise
    except Exception as error:  # tfds raises a dozen unrelated types for damaged metadata.
        raise _checks.InputError(f"tfds: cannot open {name!r} in {data_dir!r}: {_first_line(error)}") from error


def _choose_split(split: str | None, available: list[str], name: str) -> str:
    if split is not None:
        return split
    for candidate in (*_DEFAULT_SPLITS, *available[: len(available) == 1]):
        if candidate in available:
            return candidate
    raise _checks.InputError(f"split: {name!r} has {', '.join(available)}; choose one")


def _keys(tfds: Any, info: Any, name: str) -> tuple[str, str | None, str | None]:
    features = info.features
    unlabelled = not any(isinstance(feature, tfds.features.ClassLabel) for feature in features.values())
    pair = info.supervised_keys if info.supervised_keys and len(info.supervised_keys) == 2 else ("image", "label")
    wanted = (tfds.features.Image, "image"), (tfds.features.ClassLabel, "label")
    found = []
    for (kind, default), key in zip(wanted, pair, strict=True):
        match = [k for k in (key, default) if isinstance(k, str) and k in features and isinstance(features[k], kind)]
        if not match and default == "label" and unlabelled:
            match = [None]
        if not match:
            have = ", ".join(f"{k} ({type(v).__name__})" for k, v in features.items())
            raise _checks.InputError(f"tfds: {name!r} has no {default} feature ({kind.__name__}); it has {have}")
        found.append(match[0])
    image = features[found[0]]
    if len(image.shape) != 3 or image.np_dtype not in (np.uint8, np.uint16):
        raise _checks.InputError(f"tfds: {name!r}: expected 8- or 16-bit images [H, W, C], got shape {image.shape}")
    id_key = next((k for k in _ID_FEATURES if k in features and features[k].shape == ()), None)
    return found[0], found[1], id_key


def _as_array_record(tfds: Any, builder: Any, name: str, data_dir: str) -> Any:
    formats = sorted(file_format.value for file_format in builder.info.available_file_formats())
    if "array_record" not in formats:
        raise _checks.InputError(
            f"tfds: {name!r} in {data_dir!r} is prepared as {' and '.join(formats) or 'nothing'}; "
            f"expected array_record: run `{_build_command(name, data_dir)}` with another data_dir"
        )
    if builder.info.file_format.value != "array_record":
        builder = tfds.builder_from_directory(builder.data_dir, file_format="array_record")
    return builder


def _instructions(info: Any, split: str, name: str) -> list[Any]:
    try:
        instructions = info.splits[split].file_instructions
    except (ValueError, KeyError, AssertionError) as error:
        raise _checks.InputError(f"split: {name!r} has no {split!r}; it has {', '.join(info.splits)}") from error
    absent = [os.fspath(part.filename) for part in instructions if not os.path.exists(part.filename)]
    if absent:
        raise _checks.InputError(f"tfds: {name!r} lacks {len(absent)} of its files, e.g. {absent[0]!r}")
    if not instructions:
        raise _checks.InputError(f"split: {split!r} of {name!r} holds no image")
    return instructions


def _spans(info: Any, instructions: list[Any]) -> tuple[tuple[int, str, int], ...]:
    starts: dict[str, tuple[str, int]] = {}
    for split, split_info in info.splits.items():
        position = 0
        for whole in split_info.file_instructions:
            starts[os.fspath(whole.filename)] = split, position
            position += whole.examples_in_shard
    spans, row = [], 0
    for part in instructions:
        split, position = starts[os.fspath(part.filename)]
        spans.append((row, split, position + part.skip))
        row += part.take
    return tuple(spans)


def open_tfds(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    split: str | None = None,
    download: bool = False,
    max_pixels: int = budget.MAX_PIXELS,
) -> TfdsSource:
    """Opens one split of a dataset prepared by TensorFlow Datasets in the array_record format.

    Args:
      name: the dataset as tfds names it: "NAME", "NAME/CONFIG", "NAME:VERSION".
      data_dir: the folder that holds prepared datasets; None: $TFDS_DATA_DIR, else ~/tensorflow_datasets.
      split: part of the dataset in the syntax of tfds, e.g. "test", "train[:10%]"; None: "test", else "validation",
        else the only one.
      download: whether a dataset that is not there may be downloaded and prepared. Otherwise the network is never used.
      max_pixels: the most pixels of an image that is decoded; all threads together decode no more at a time.

    Returns:
      The source. Ids are the dataset's feature `id`, else `file_name`, else "<split>/<position>". Images of a dataset
      without any class are unlabelled.

    Raises:
      InputError: when the dataset is unknown, not prepared, prepared in another format, incomplete, has no such split,
        or has no image, or classes of which none is the label.

    Examples:
      >>> source = data.open_tfds("cifar10", data_dir="datasets", split="test")  # needs data  # doctest: +SKIP
      >>> len(source)  # needs data  # doctest: +SKIP
    """
    import tensorflow_datasets as tfds

    budget.check_max_pixels(max_pixels)
    if data_dir is None:
        data_dir = os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets")
    data_dir = os.path.expanduser(os.fspath(data_dir))
    builder = _find(tfds, name, data_dir, download)
    image_key, label_key, id_key = _keys(tfds, builder.info, name)
    builder = _as_array_record(tfds, builder, name, data_dir)
    info = builder.info
    split = _choose_split(split, list(info.splits), name)
    instructions = _instructions(info, split, name)
    records = builder.as_data_source(split, decoders={image_key: tfds.decode.SkipDecoding()})
    try:
        records[0]
    except Exception as error:
        raise _checks.InputError(f"tfds: cannot read {name!r} in {data_dir!r}: {_first_line(error)}") from error
    shape = info.features[image_key].shape[:2]
    return TfdsSource(
        name=f"tfds:{name}",
        split=split,
        class_names=() if label_key is None else tuple(info.features[label_key].names),
        image_shape=None if None in shape else tuple(shape),
        records=records,
        image_key=image_key,
        label_key=label_key,
        id_key=id_key,
        spans=_spans(info, instructions),
        full_name=info.full_name,
        max_pixels=max_pixels,
    )
