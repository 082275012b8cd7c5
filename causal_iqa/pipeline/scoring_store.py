"""The output folder of a scoring: parts written atomically, believed only whole and of the same images and settings."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from causal_iqa import _checks, _files, _locks
from causal_iqa.pipeline import inputs, locking, parts, provenance, scoring
from causal_iqa.pipeline.scored import Part

CONFIG_FILE = "config.json"
# Fields of a config that name images: with other images the parts that hold them are scored, and the rest is kept.
_OF_IMAGES = ("images", "data_dir", "split", "labels", "class_order")


def provenance_of(work: scoring.Scoring) -> dict[str, str]:
    """Returns what the scores of an image depend on beside the image: name -> digest or version.

    Args:
      work: result of `scoring.prepare`.
    """
    config = work.config
    settings = {name: value for name, value in config.to_json().items() if name not in _OF_IMAGES}
    found = {"flags": provenance.digest_json(settings), **inputs.of_library()}
    found["size of the images"] = f"{work.work.image_size}"
    found["scores"] = provenance.digest_json({one.column.name: one.column.record() for one in work.work.scorers})
    found["anchors"] = provenance.digest(
        *(leaf.tobytes() for leaf in _leaves(work.work.witnesses) if hasattr(leaf, "tobytes"))
    )
    loaded = {**work.work.networks, **work.work.feature_backbones}
    for choice in (*config.networks, *config.backbones):
        if choice.name in loaded:
            found[f"network {choice.name}"] = inputs.of_network(choice, loaded[choice.name])
    return found


def _leaves(witnesses: Mapping[str, Any]) -> list[Any]:
    import jax
    import numpy as np

    return [np.asarray(leaf) for _, leaf in sorted(jax.tree_util.tree_leaves_with_path(dict(witnesses)), key=str_path)]


def str_path(item: tuple[Any, Any]) -> str:
    """The path of a leaf as text."""
    return str(item[0])


class ScoringStore:
    """One output folder of a scoring. Nothing is touched before `locked`."""

    def __init__(self, folder: str | os.PathLike[str], work: scoring.Scoring, settings: Mapping[str, Any]):
        """Keeps what the folder must hold.

        Args:
          folder: made when missing.
          work: result of `scoring.prepare`.
          settings: what else the scores depend on, JSON values.
        """
        self.folder = pathlib.Path(folder)
        self.work = work
        self.provenance = {**provenance_of(work), "settings": provenance.digest_json(dict(settings))}
        self.fingerprint = provenance.digest_json(self.provenance)
        self.num_rescored = 0
        self._settings = dict(settings)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process: begins the scoring, or continues it.

        Raises:
          InputError: when the folder cannot be written, another process works in it, or it holds another scoring.
        """
        with _locks.lock(self.folder, make=True) as descriptor:
            locking.check_subfolders(self.folder, descriptor)
            locking.remove_leftovers(self.folder)
            self._begin()
            try:
                yield
            except KeyboardInterrupt as error:
                error.add_note(self._kept())
                raise
            except _files.OutputError as error:
                raise _files.OutputError(f"{error}; {self._kept()}") from error

    def _kept(self) -> str:
        written = len(list((self.folder / "scores").glob("*.parquet")))
        return f"parts of the scores kept in {self.folder}: {written}; the same command continues from there"

    def _begin(self) -> None:
        path = self.folder / CONFIG_FILE
        if path.exists():
            try:
                found = _files.read_json(path)
                there, config = dict(found["provenance"]), dict(found["config"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise _checks.InputError(
                    f"output_dir: {path} is damaged or not of a scoring; choose another folder"
                ) from error
            if there == self.provenance:
                return
            now = self.work.config.to_json()
            changed = [name for name in now if name not in _OF_IMAGES and config.get(name) != now[name]]
            words = [f"{name} ({config.get(name)!r} there, {now[name]!r} now)" for name in changed]
            words += [f"the {name} changed" for name in self.provenance if there.get(name) != self.provenance[name]]
            words = [one for one in words if not (changed and one.startswith(("the flags", "the scores")))]
            raise _checks.InputError(
                f"output_dir: {self.folder} holds another scoring: {'; '.join(words[:4])}; start a new --output_dir "
                "or restore it"
            )
        if list((self.folder / "scores").glob("*.parquet")):
            raise _checks.InputError(
                f"output_dir: {self.folder} holds scores without a {CONFIG_FILE}; choose another folder"
            )
        content = {
            "kind": "scoring",
            "config": self.work.config.to_json(),
            "provenance": self.provenance,
            "settings": self._settings,
            "sets": [{"name": one.name, "source": one.source.name, "size": len(one.source)} for one in self.work.sets],
            "image_size": self.work.work.image_size,
            "columns": {one.column.name: one.column.record() for one in self.work.work.scorers},
            "networks": {
                name: network.passport()
                for name, network in {**self.work.work.networks, **self.work.work.feature_backbones}.items()
            },
        }
        _files.write_json(path, json.loads(json.dumps(content)), root=self.folder, sealed=True)

    def _path(self, part: Part) -> pathlib.Path:
        return self.folder / "scores" / f"set-{part.place:03d}-part-{part.number:05d}.parquet"

    def _open(self, part: Part, stamp: str) -> tuple[pa.Table, list[tuple[str, str]]]:
        content = parts.read_whole(self._path(part))
        try:
            table = pq.read_table(pa.BufferReader(content))
            metadata = parts.metadata_of(table.schema)
            told = metadata["fingerprint"], metadata["stamp"]
            skipped = [(str(name), str(reason)) for name, reason in metadata["skipped"]]
        except parts.UNREADABLE as error:
            raise _checks.InputError(f"{self._path(part).name}: no part of scores") from error
        if told != (self.fingerprint, stamp):
            raise _checks.InputError(f"{self._path(part).name}: a part of other images or another scoring")
        return table.replace_schema_metadata(None), skipped

    def has(self, part: Part, stamp: str) -> bool:
        """Whether a whole part of this scoring and these images exists."""
        try:
            self._open(part, stamp)
        except _checks.InputError:
            self.num_rescored += self._path(part).exists()
            return False
        return True

    def write(self, part: Part, stamp: str, table: pa.Table, skipped: Sequence[tuple[str, str]]) -> None:
        """Writes a part, whole or not at all."""
        metadata = {
            "fingerprint": self.fingerprint,
            "stamp": stamp,
            "skipped": [[name, reason] for name, reason in skipped],
        }
        _files.write_atomically(self._path(part), parts.sealed_parquet(table, metadata), root=self.folder)

    def read(self, part: Part, stamp: str) -> tuple[pa.Table, list[tuple[str, str]]]:
        """Returns a part and its unreadable images; InputError when it is damaged or of other images."""
        return self._open(part, stamp)
