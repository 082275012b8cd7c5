"""Copies as records: a dataset of TensorFlow Datasets in the array_record format for every condition and severity.

OUT/<condition>/<severity>/1.0.0 is the dataset "<condition>/<severity>" of tfds in the data folder OUT. Every task
writes one shard of each of its conditions, so processes share nothing; the description of a dataset is written after
all its shards. Nothing here needs TensorFlow.
"""

import contextlib
import functools
import hashlib
import importlib
import json
import os
import pathlib
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from causal_iqa import _checks, _files, _reading, data
from causal_iqa.copies import manifest, names
from causal_iqa.data import names as text
from causal_iqa.degradations import Condition

VERSION, SPLIT = "1.0.0", "test"
INFO, _FEATURES = "dataset_info.json", "features.json"
_IMAGE, _ID, _LABEL = "image", "id", "label"
_SUFFIX = "array_record"
_MOST_OPEN = 64


def folder_of(condition: Condition) -> str:
    """Returns the folder of a condition's dataset relative to the tree, e.g. "fog/3/1.0.0"."""
    return f"{names.folder_of(condition)}/{VERSION}"


def shard_path(condition: Condition, shard: int, num_shards: int) -> str:
    """Returns the path of a shard relative to the tree, as tfds names it."""
    return f"{folder_of(condition)}/{_name_of(condition)}-{SPLIT}.{_SUFFIX}-{shard:05d}-of-{num_shards:05d}"


def _name_of(condition: Condition) -> str:
    """Name of the dataset; for several steps, or with options, in a form that tfds accepts."""
    name = re.sub(r"\W+", "_", names.folder_of(condition).split("/")[0]).strip("_")
    return name if name[:1].isalpha() else f"_{name}"


def features(class_names: Sequence[str], format: str) -> Any:
    """Returns the tfds features of a record: "image" stored as `format`, "id" and, where there are classes, "label"."""
    import tensorflow_datasets as tfds

    own = {_IMAGE: tfds.features.Image(encoding_format=format), _ID: tfds.features.Text()}
    if class_names:
        own[_LABEL] = tfds.features.ClassLabel(names=list(class_names))
    return tfds.features.FeaturesDict(own)


class Shards:
    """One shard of each of several conditions: whole when `close` returns, absent before."""

    def __init__(
        self,
        root: pathlib.Path,
        conditions: Sequence[Condition],
        place: tuple[int, int],
        class_names: Sequence[str],
    ):
        """Begins the shards.

        Args:
          root: the tree.
          conditions: a shard of each.
          place: number of the shard, of so many.
          class_names: classes of the images; none: records have no label.

        Raises:
          OutputError: when they cannot be written.
        """
        self._root = root
        self._has_label = bool(class_names)
        self._paths = {condition: shard_path(condition, *place) for condition in conditions}
        self._temporary: dict[Condition, pathlib.Path] = {}
        self._writers: dict[Condition, Any] = {}
        self._counts = dict.fromkeys(conditions, 0)
        for condition, path in self._paths.items():
            own = (root / path).parent
            try:
                own.mkdir(parents=True, exist_ok=True)
                self._temporary[condition] = own / f".{secrets.token_hex(8)}.tmp"
                # A record is read by itself, whatever its place.
                self._writers[condition] = _module("array_record.python.array_record_module").ArrayRecordWriter(
                    os.fspath(self._temporary[condition]), "group_size:1"
                )
            except (OSError, RuntimeError, ValueError) as error:
                self.discard()
                raise _refused(root / path, error) from error

    def add(self, condition: Condition, content: bytes, image_id: str, label: int) -> tuple[str, int]:
        """Adds a copy; returns the path of its shard and its place in it.

        Args:
          condition: its condition.
          content: the stored image.
          image_id: id of the image.
          label: its class, negative where it has none.

        Raises:
          OutputError: when it cannot be written.
        """
        feature = _module("tensorflow_datasets.proto").tf_feature_pb2

        def of_bytes(value: bytes) -> Any:
            return feature.Feature(bytes_list=feature.BytesList(value=[value]))

        values = {_IMAGE: of_bytes(content), _ID: of_bytes(text.name_of(image_id).encode("utf-8", "surrogateescape"))}
        if self._has_label:
            values[_LABEL] = feature.Feature(int64_list=feature.Int64List(value=[label]))
        # What `features.serialize_example` gives has its parts in an order that changes from process to process.
        example = _module("tensorflow_datasets.proto").tf_example_pb2.Example
        packed = example(features=feature.Features(feature=values)).SerializeToString(deterministic=True)
        try:
            self._writers[condition].write(packed)
        except (OSError, RuntimeError) as error:
            raise _refused(self._root / self._paths[condition], error) from error
        self._counts[condition] += 1
        return self._paths[condition], self._counts[condition] - 1

    def close(self) -> tuple[manifest.Shard, ...]:
        """Ends the shards and puts them in their places."""
        found = []
        for condition, path in self._paths.items():
            target = self._root / path
            try:
                self._writers.pop(condition).close()
                with open(self._temporary[condition], "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = os.stat(self._temporary[condition]).st_size
                os.replace(self._temporary.pop(condition), target)
            except (OSError, RuntimeError) as error:
                raise _refused(target, error) from error
            found.append(manifest.Shard(_files.readable(path), self._counts[condition], size, digest))
        return tuple(found)

    def discard(self) -> None:
        """Removes what was begun and not put in its place."""
        for writer in self._writers.values():
            with contextlib.suppress(OSError, RuntimeError):  # The disk may be full.
                writer.close()
        self._writers = {}
        for path in self._temporary.values():
            path.unlink(missing_ok=True)


def _refused(path: pathlib.Path, error: Exception) -> _files.OutputError:
    reason = _reading.reason_of(error) if isinstance(error, OSError) else _first_line(error).split(";")[0]
    return _files.OutputError(
        f"output_dir: {path} cannot be written ({reason}); written files are kept, and the same command continues"
    )


def describe(
    root: pathlib.Path,
    conditions: Mapping[Condition, Sequence[manifest.Shard]],
    class_names: Sequence[str],
    format: str,
    descriptions: Mapping[Condition, str],
) -> None:
    """Writes the description of each dataset, which tfds reads before the records.

    Args:
      root: the tree.
      conditions: condition -> its shards, in their order.
      class_names: the class names of the shards.
      format: "png" or "jpeg", how the images are stored.
      descriptions: condition -> a sentence on it.

    Raises:
      OutputError: when a file cannot be written.
    """
    own = features(class_names, format)
    for condition, shards in conditions.items():
        folder = root / folder_of(condition)
        told = {
            "name": _name_of(condition),
            "configName": names.folder_of(condition).split("/")[1],
            "version": VERSION,
            "description": descriptions[condition],
            "fileFormat": _SUFFIX,
            "splits": [
                {
                    "name": SPLIT,
                    "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                    "shardLengths": [str(shard.records) for shard in shards],
                    "numBytes": str(sum(shard.bytes for shard in shards)),
                }
            ],
        }
        try:
            own.save_config(folder)
        except OSError as error:
            raise _refused(folder / _FEATURES, error) from error
        # Last: without it there is no dataset.
        _files.write_atomically(folder / INFO, json.dumps(told, indent=1).encode())


class Reader:
    """Reads copies by condition and image id, where the manifest of the tree says that they are.

    Attributes:
      root: the tree.

    Examples:
      >>> import pathlib, tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     Image.new("RGB", (8, 6)).save(f"{folder}/a.png")
      ...     options = {"severities": (1.0,), "format": "array_record"}
      ...     config = copies.CopyConfig(folder, degradations=("translation",), **options)
      ...     _ = copies.write(copies.prepare(config, f"{folder}-out"), f"{folder}-out")
      ...     content = copies.RecordReader(pathlib.Path(f"{folder}-out")).content("translation/1", "a.png")
      >>> content[1:4]
      b'PNG'
    """

    def __init__(self, root: pathlib.Path):
        """Opens nothing yet."""
        self.root = root
        # Readers of a few shards stay open: a tree has more of them than a process may open files.
        self._open = functools.lru_cache(maxsize=_MOST_OPEN)(_open_shard)

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["root"])

    @functools.cached_property
    def _places(self) -> dict[str, tuple[str, dict[str, tuple[str, int]]]]:
        """Folder of a condition -> (beginning of the paths of its shards, image id -> (rest of the path, record))."""
        try:
            table = pq.read_table(self.root / manifest.PARQUET, columns=["path", "image_id", "record"])
        except (OSError, ValueError) as error:
            raise _checks.InputError(
                f"images: {self.root / manifest.PARQUET} cannot be read ({error}); it says where each record is"
            ) from error
        of_condition: dict[str, dict[str, tuple[str, int]]] = {}
        begin: dict[str, str] = {}
        columns = (table.column(name).to_pylist() for name in table.column_names)
        shared: dict[str, str] = {}
        for path, image_id, record in zip(*columns, strict=True):
            start, _, rest = path.partition(f".{_SUFFIX}-")
            folder = start.rsplit("/", 2)[0]
            begin[folder] = f"{start}.{_SUFFIX}-"
            own = of_condition.setdefault(folder, {})
            own[shared.setdefault(image_id, image_id)] = (shared.setdefault(rest, rest), record)
        # Conditions have the same images in the same shards: one mapping serves them all.
        kept: list[dict[str, tuple[str, int]]] = []
        for folder, own in of_condition.items():
            same = next((one for one in kept if one == own), None)
            if same is None:
                kept.append(own)
            of_condition[folder] = own if same is None else same
        return {folder: (begin[folder], own) for folder, own in of_condition.items()}

    def place(self, folder: str, image_id: str) -> tuple[str, int] | None:
        """Returns the path of the shard, relative to the tree, and the place in it; None where there is no copy.

        Args:
          folder: folder of the condition, e.g. "fog/3".
          image_id: id of the image.
        """
        begin, places = self._places.get(folder, ("", {}))
        found = places.get(image_id)
        return None if found is None else (f"{begin}{found[0]}", found[1])

    def content(self, folder: str, image_id: str) -> bytes | None:
        """Returns the stored image; None where there is no copy.

        Raises:
          UnreadableImage: when its shard cannot be read.
        """
        place = self.place(folder, image_id)
        if place is None:
            return None
        try:
            reader, own = self._open(self.root / place[0])
            (packed,) = reader.read([place[1]])
            return own.deserialize_example_np(packed, decoders={_IMAGE: _undecoded()})[_IMAGE]
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise data.UnreadableImage(image_id, f"{place[0]} cannot be read: {_first_line(error)}") from error


def _open_shard(path: pathlib.Path) -> tuple[Any, Any]:
    import tensorflow_datasets as tfds

    reader = _module("array_record.python.array_record_module").ArrayRecordReader(os.fspath(path))
    return reader, tfds.features.FeaturesDict.from_config(os.fspath(path.parent))


def _module(name: str) -> Any:
    """A module whose members no type checker sees: compiled, or made of messages when it is imported."""
    return importlib.import_module(name)


def _undecoded() -> Any:
    import tensorflow_datasets as tfds

    return tfds.decode.SkipDecoding()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def is_dataset(folder: pathlib.Path) -> bool:
    """Returns whether the folder of a condition holds records.

    Args:
      folder: e.g. OUT/fog/3.

    Examples:
      >>> import pathlib
      >>> copies.is_dataset(pathlib.Path("no", "such", "tree"))
      False
    """
    return (folder / VERSION / INFO).is_file()
