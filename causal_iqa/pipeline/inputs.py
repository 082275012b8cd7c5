"""Gathers what the numbers of a study depend on: images, networks, files, and the code that computes them."""

import functools
import hashlib
import os
import pathlib
import types
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
import PIL
import PIL.features

from causal_iqa import __version__, _files, _reading, backbones, data, metrics
from causal_iqa.backbones import user
from causal_iqa.backbones.text import tokenizers
from causal_iqa.metrics import FileMetricSpec
from causal_iqa.pipeline import user_code
from causal_iqa.pipeline.config import StudyConfig
from causal_iqa.pipeline.network_choice import NetworkChoice
from causal_iqa.pipeline.provenance import Listing, Provenance, digest, digest_json

UNREADABLE = "unreadable"
# Above this many bytes in all, image files are told apart by size and time of change instead of their content.
MOST_BYTES = 2**31
_LARGEST_FILE = 2**30
_DIGITS = 16
# Rooms that read a finished score table or have others do the work: what they do changes no score.
_READERS = ("alignment", "analysis", "beam", "causal", "cli", "report")


def list_images(source: data.Source, indices: Sequence[int] | np.ndarray, *, most_bytes: int = MOST_BYTES) -> Listing:
    """Lists chosen images of a source with stamps of their content, decoding none.

    Args:
      source: source of the images. One that draws them has no stamps, for there the image follows from its id.
      indices: positions in it.
      most_bytes: most bytes of files whose content is read; when all chosen files together are larger, their sizes and
        times of change are taken.

    Returns:
      The listing; the stamp of a file that cannot be read is UNREADABLE.
    """
    chosen = [int(i) for i in indices]
    by_content = True
    file = _file_of(source)
    if file is not None:
        by_content = sum(_size(file(i)) for i in chosen) <= most_bytes
    stamps = [_stamp(source, i, by_content) for i in chosen]
    labels = data.labels_of(source, chosen).tolist()
    return Listing(tuple(_files.readable(source.id(i)) for i in chosen), tuple(labels), tuple(stamps))


def _file_of(source: data.Source) -> Callable[[int], pathlib.Path] | None:
    return getattr(source, "file", None)


def _size(path: pathlib.Path) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _stamp(source: data.Source, index: int, by_content: bool) -> str:
    content: Callable[[int], bytes] | None = getattr(source, "content", None)
    file = _file_of(source)
    if content is None:
        return ""
    try:
        if by_content or file is None:
            return content(index).hex()[:_DIGITS]
        status = os.stat(file(index))
        return f"{status.st_size} bytes of {status.st_mtime_ns}"
    except (data.UnreadableImage, OSError, ValueError):
        return UNREADABLE


def digest_path(path: str | os.PathLike[str]) -> str:
    """Returns a digest of a file, or of the regular files that lie in a folder, with their names.

    Args:
      path: path of the file or folder. Larger files than a gigabyte are taken at their size and time of change.

    Returns:
      The digest, UNREADABLE where there is nothing to read.
    """
    path = pathlib.Path(path).expanduser()
    try:
        if not path.is_dir():
            return _digest_file(path)
        files = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
        return digest(*(piece for file in files for piece in (file.name, _digest_file(file))))
    except (OSError, ValueError):
        return UNREADABLE


def _digest_file(path: pathlib.Path) -> str:
    try:
        with _reading.open_regular(path) as file:
            status = os.fstat(file.fileno())
            if status.st_size > _LARGEST_FILE:
                return f"{status.st_size} bytes of {status.st_mtime_ns}"
            return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
    except OSError:
        return UNREADABLE


@functools.cache
def of_library() -> dict[str, str]:
    """Returns the versions that stand for the code of the scores: of this library, of JAX, NumPy and the decoders."""
    root = pathlib.Path(__file__).parents[1]
    files = (
        file
        for file in sorted(root.rglob("*"))
        if file.is_file() and file.suffix != ".pyc" and file.relative_to(root).parts[0] not in _READERS
    )
    code = digest(*(piece for file in files for piece in (file.relative_to(root).as_posix(), file.read_bytes())))
    return {
        "library": f"{__version__} {code}",
        "version of JAX": f"{jax.__version__} on {jax.default_backend()}",
        "version of NumPy": np.__version__,
        "version of Pillow": f"{PIL.__version__} with libjpeg {PIL.features.version('jpg')}",
    }


def of_network(choice: NetworkChoice, network: backbones.Network) -> str:
    """Returns what stands for a network: its weights, its preprocessing and, where a user wrote it, its code.

    Args:
      choice: how it was named.
      network: what was loaded.
    """
    code = user_code.digest_code(choice.architecture) if user.is_reference(choice.architecture) else ""
    return digest(digest_json(network.passport()), code)


def of_study(
    config: StudyConfig,
    networks: Mapping[str, backbones.Network],
    feature_backbones: Mapping[str, backbones.Network],
    conventional: Sequence[metrics.MetricSpec],
    class_names: Sequence[str],
    image_size: int,
    images: Listing,
    anchors: Listing,
    others: Mapping[str, str] = types.MappingProxyType({}),
) -> Provenance:
    """Gathers everything the numbers of a study depend on.

    Args:
      config: the study.
      networks: name -> network that is judged.
      feature_backbones: name -> network that gives features, as loaded.
      conventional: the metrics.
      class_names: class names of the judged images.
      image_size: side in pixels of the images that are degraded.
      images: the judged images.
      anchors: the anchor images.
      others: digests of further inputs, name -> digest.

    Returns:
      The provenance.
    """
    parts = {"flags": digest_json(config.to_json()), **of_library(), **others}
    parts |= {"list of classes": digest_json(list(class_names)), "size of the images": str(image_size)}
    for kind, choices, found in (
        ("network", config.networks, networks),
        ("backbone", config.backbones, feature_backbones),
    ):
        parts |= {
            f"{kind} {choice.name}": of_network(choice, found[choice.name])
            for choice in choices
            if choice.name in found
        }
    with_files = (spec for spec in conventional if isinstance(spec, FileMetricSpec))
    parts |= {f"file of {spec.name}": digest_json(spec.files) for spec in with_files}
    if config.annotations is not None:
        parts |= {"annotations": digest_path(config.annotations), "table of classes": digest_path(config.classes or "")}
    if config.performance is not None:
        parts |= {"table of performance": digest_path(config.performance)}
    parts |= {f"file {path}": digest_path(path) for path in _files_of(config, feature_backbones)}
    return Provenance.of(parts, images, anchors)


def _files_of(config: StudyConfig, feature_backbones: Mapping[str, backbones.Network]) -> list[pathlib.Path]:
    """Files that a study reads beside its images and weights: textures, vocabularies, lists of names."""
    options = [
        value
        for condition in config.conditions
        for step in condition.steps
        for keyword, value in step.options
        if keyword == "textures"
    ]
    options += [text.rpartition("=")[2] for name in config.metrics for text in name.partition("@")[2].split(",")]
    found = [pathlib.Path(value).expanduser() for value in options if isinstance(value, str) and value]
    found = [path for path in found if path.exists()]
    if config.anchors == "text":
        files = {choice.name: choice.path for choice in config.backbones}
        kinds = {name: backbone.text.tokenizer for name, backbone in feature_backbones.items() if backbone.text}
        found += [_vocabulary(kind, config.tokenizer, files[name]) for name, kind in kinds.items()]
        found += [path.with_name("merges.txt") for path in found if path.name == "vocab.json"]
        found += [pathlib.Path(config.class_names)] if config.class_names else []
    return sorted(set(found))


def _vocabulary(kind: str, tokenizer: str | None, weights: str | None) -> pathlib.Path:
    path = pathlib.Path(tokenizer or tokenizers.find(kind, weights))
    return tokenizers.find(kind, path / "weights") if path.is_dir() else path
