"""The diagnosis: which imaging condition an image was taken under, and how severe it was.

A small network reads the statistics of an image and gives a calibrated probability to every cause, the first of which
is `none`, and the rest of 1 to none of them. It looks at the image as a network receives it, the whole of it at
`model.side` pixels, so a cause that resizing removed is not found, and need not be.
"""

import functools
import importlib.resources
import json
import os
import pathlib
from typing import NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from causal_iqa import _checks, _files, _reading, images
from causal_iqa._arrays import Params
from causal_iqa.diagnosis.features import statistics

NONE = "none"
MAX_SEVERITY = 5.0
SMALLEST_SIDE = 64
_KIND = "causal_iqa diagnosis 1"
_SUFFIX, _PARAMS = ".safetensors", "params."
_WHOLE = ("centre", "scale", "temperature")
# Statistics further off than this many deviations say little more than that they are far off.
_SOFT = 4.0


class Reader(nn.Module):
    """Statistics to logits and severities."""

    num_causes: int
    widths: tuple[int, ...] = (192, 96)
    dropout: float = 0.2

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Maps standardised statistics [..., d] to logits [..., causes + 1] and severities [..., causes]."""
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        for i, width in enumerate(self.widths):
            x = nn.gelu(nn.Dense(width, name=f"hidden_{i}")(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        logits = nn.Dense(self.num_causes + 1, name="causes")(x)
        severities = MAX_SEVERITY * nn.sigmoid(nn.Dense(self.num_causes, name="severities")(x))
        return logits, severities


def read(reader: Reader, params: Params, x: jax.Array, **options) -> tuple[jax.Array, jax.Array]:
    """What a reader with these parameters says: logits and severities."""
    return reader.apply({"params": params}, x, **options)  # pyright: ignore[reportReturnType]


@flax.struct.dataclass
class DiagnosisModel:
    """A fitted diagnosis.

    Attributes:
      params: parameters of several readers of the statistics, stacked on the first axis; their logits are averaged.
      centre: float32 [d], typical statistics of the anchors under all causes.
      scale: float32 [d], their deviations.
      temperature: scalar, chosen on anchors that were held out.
      causes: names, first "none", then degradations.
      side: pixels of the images it reads.
      notes: how it was fitted and how well it did on anchors that were held out, JSON values as text.
    """

    params: Params
    centre: jax.Array
    scale: jax.Array
    temperature: jax.Array
    causes: tuple[str, ...] = flax.struct.field(pytree_node=False)
    side: int = flax.struct.field(pytree_node=False)
    notes: str = flax.struct.field(pytree_node=False, default="{}")


class Diagnoses(NamedTuple):
    """Diagnoses of n images."""

    probabilities: jax.Array  # float32 [n, causes]; a row sums to 1 less `unexplained`
    severities: jax.Array  # float32 [n] in [0, 5], of the most probable cause; 0 where that is "none"
    unexplained: jax.Array  # float32 [n], probability that it is something else


def standardised(values: jax.Array, centre: jax.Array, scale: jax.Array) -> jax.Array:
    """Statistics [n, d] in units of their deviations, bent towards a limit."""
    return _SOFT * jnp.tanh((values - centre[None]) / (_SOFT * scale[None]))


def read_statistics(model: DiagnosisModel, values: jax.Array) -> Diagnoses:
    """Diagnoses images by their statistics.

    Args:
      model: fitted.
      values: float32 [n, d], `statistics` of each image.

    Returns:
      The diagnoses of the n images.

    Examples:
      >>> model = diagnosis.default_model()
      >>> found = diagnosis.read_statistics(model, jnp.stack([model.centre, model.centre]))
      >>> found.probabilities.shape
      (2, 20)
    """
    reader = Reader(len(model.causes))
    x = standardised(values, model.centre, model.scale)
    logits, severities = jax.vmap(lambda params: read(reader, params, x))(model.params)
    shares = jax.nn.softmax(logits.mean(axis=0) / model.temperature, axis=-1)
    probabilities = shares[:, :-1]
    likeliest = probabilities.argmax(axis=-1)
    chosen = jnp.take_along_axis(severities.mean(axis=0), likeliest[:, None], axis=1)[:, 0]
    return Diagnoses(probabilities, jnp.where(likeliest == 0, 0.0, chosen), shares[:, -1])


def diagnose(model: DiagnosisModel, images_: jax.Array) -> Diagnoses:
    """Says of every image which condition it was most likely taken under.

    Args:
      model: fitted.
      images_: float32 [n, side, side, 3] in [0, 1], or uint8; side is `model.side`: the central square that a network
        would be given, resized to it.

    Returns:
      The diagnoses of the n images. A pure function, to be jitted; each image's row depends on that image alone.

    Raises:
      ValueError: for another shape.
      TypeError: for integers other than uint8.

    Examples:
      >>> model = diagnosis.default_model()
      >>> photographs = jax.ShapeDtypeStruct((1, model.side, model.side, 3), jnp.uint8)
      >>> jax.eval_shape(diagnosis.diagnose, model, photographs).probabilities.shape
      (1, 20)
    """
    shape = jnp.shape(images_)
    if len(shape) != 4 or shape[1:] != (model.side, model.side, 3):
        raise ValueError(f"images: expected shape [n, {model.side}, {model.side}, 3], got {shape}")
    if jnp.result_type(images_) == jnp.uint8:
        images_ = images.from_uint8(images_)
    if not jnp.issubdtype(jnp.result_type(images_), jnp.floating):
        raise TypeError(f"images: expected float32 in [0, 1] or uint8, got {jnp.result_type(images_)}")
    _checks.check_unit_range(images_, "images")
    if not shape[0]:
        return Diagnoses(jnp.zeros((0, len(model.causes))), jnp.zeros(0), jnp.zeros(0))
    return read_statistics(model, jax.lax.map(statistics, jnp.asarray(images_, jnp.float32)))


def save(model: DiagnosisModel, path: str | os.PathLike[str]) -> None:
    """Writes a model as one safetensors file of float16 weights.

    Args:
      model: fitted.
      path: ending in .safetensors.

    Raises:
      InputError: for another ending, or when it cannot be written.

    Examples:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     diagnosis.save(diagnosis.default_model(), f"{folder}/model.safetensors")
      ...     names = [path.name for path in pathlib.Path(folder).iterdir()]
      >>> names
      ['model.safetensors']
    """
    path = pathlib.Path(path)
    if path.suffix != _SUFFIX:
        raise _checks.InputError(f"path: expected a name ending in {_SUFFIX}, got {str(path)!r}")
    half = {f"{_PARAMS}{name}": np.asarray(x, np.float16, order="C") for name, x in _flat(model.params).items()}
    whole = {name: np.asarray(getattr(model, name), np.float32, order="C").reshape(-1) for name in _WHOLE}
    metadata = {"kind": _KIND, "causes": json.dumps(model.causes), "side": str(model.side), "notes": model.notes}
    _files.write_atomically(path, safetensors.numpy.save(half | whole, metadata))


def _flat(params: Params) -> dict[str, jax.Array]:
    paths = jax.tree_util.tree_flatten_with_path(params)[0]
    return {".".join(entry.key for entry in path): leaf for path, leaf in paths}


def load(path: str | os.PathLike[str]) -> DiagnosisModel:
    """Reads what `save` wrote.

    Args:
      path: path of the file.

    Returns:
      The model.

    Raises:
      InputError: when the file cannot be read or holds something else.

    Examples:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     diagnosis.save(diagnosis.default_model(), f"{folder}/model.safetensors")
      ...     model = diagnosis.load(f"{folder}/model.safetensors")
      >>> model.causes == diagnosis.default_model().causes
      True
    """
    try:
        with _reading.open_regular(path) as file:
            content = file.read()
        tensors = safetensors.numpy.load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except OSError as error:
        raise _checks.InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _checks.InputError(f"{path}: is no safetensors file, or a damaged one ({error})") from None
    if metadata.get("kind") != _KIND:
        raise _checks.InputError(f"{path}: holds no diagnosis (causal_iqa.diagnosis.save writes one)")
    try:
        params: dict[str, dict[str, jax.Array]] = {}
        for name in (name for name in tensors if name.startswith(_PARAMS)):
            layer, leaf = name.removeprefix(_PARAMS).split(".")
            params.setdefault(layer, {})[leaf] = jnp.asarray(tensors[name], jnp.float32)
        centre, scale, temperature = (jnp.asarray(tensors[name], jnp.float32) for name in _WHOLE)
        causes, side = tuple(json.loads(metadata["causes"])), int(metadata["side"])
        model = DiagnosisModel(params, centre, scale, temperature[0], causes, side, metadata["notes"])
        jax.eval_shape(read_statistics, model, jnp.zeros((1, len(centre))))
    except Exception as error:  # Flax and NumPy each say in their own way that arrays do not fit.
        raise _checks.InputError(f"{path}: its arrays are not those of a diagnosis ({error})") from None
    return model


@functools.lru_cache(maxsize=1)
def default_model() -> DiagnosisModel:
    """Returns the model that comes with the library: 19 conditions of ImageNet-C and none, at 224 pixels.

    It was fitted by `python -m benchmarks.diagnosis fit` on images drawn by rule; `fit` makes one of your own images.

    Examples:
      >>> model = diagnosis.default_model()
      >>> model.side, model.causes[:3]
      (224, ('none', 'gaussian_noise', 'shot_noise'))
    """
    with importlib.resources.as_file(importlib.resources.files("causal_iqa.diagnosis") / "parameters") as folder:
        return load(pathlib.Path(folder) / "default.safetensors")
