"""Metrics by name: a row of the table, or one made of parameter files, `niqe@PATH`.

The files' arrays become constants of the metric's function, so that every metric is called alike; the functions of
`lpips`, `dists`, `niqe`, `ilniqe` and `brisque` take them as arguments where that is wanted.
"""

import dataclasses
import functools
import hashlib
import importlib.util
import io
import math
import pathlib
import struct
import types
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.io

from causal_iqa import _checks, backbones
from causal_iqa.backbones.text import tokenizers
from causal_iqa.backbones.weights import array_files, budgets, checkpoints, pickles
from causal_iqa.metrics import _brisque, _ilniqe, _niqe, spec, table
from causal_iqa.metrics.learned import _clip_iqa, _dists, _lpips, packaged


@dataclasses.dataclass(frozen=True)
class FileMetricSpec(spec.MetricSpec):
    """A metric that reads files.

    Attributes:
      files: (file name, SHA-256 of its bytes) of each.
    """

    files: tuple[tuple[str, str], ...] = ()

    def passport(self) -> dict[str, Any]:
        """Returns everything but the function as JSON values, the files as a mapping name -> SHA-256."""
        return super().passport() | {"files": dict(self.files)}


_NIQE = packaged.SPECS[0]
_FLAT_WINDOWS = (
    "flat windows by the sign of MATLAB's rounding error, which differs with its release and processor: on images with "
    "many of them scores are not reproducible (docs/metrics.md)"
)
# What SciPy raises on files that are not theirs.
_DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, NotImplementedError, IndexError, MemoryError, RecursionError),
    *(OverflowError, AttributeError, AssertionError, UnicodeError, struct.error, zlib.error),
    scipy.io.matlab.MatReadError,
)


def _read(path: str, *, text: bool = False) -> tuple[bytes, tuple[str, str]]:
    file = pathlib.Path(path).expanduser()
    content = budgets.read_bytes(file, text=text)
    return content, (file.name, hashlib.sha256(content).hexdigest())


def _checkpoint(path: str) -> tuple[checkpoints.Checkpoint, tuple[str, str]]:
    read = checkpoints.read(pathlib.Path(path).expanduser())
    return read, (pathlib.Path(path).name, read.sha256)


def _matlab(content: bytes, path: str) -> dict[str, np.ndarray]:
    """The arrays of a .mat file, whose sizes are looked at before they are decompressed."""
    try:
        described = scipy.io.whosmat(io.BytesIO(content))
        # A number of MATLAB has eight bytes, sixteen where it is complex.
        size = sum(16 * math.prod(map(int, shape)) for _, shape, _ in described)
        budgets.current().check(path, "the file", size, "bytes")
        stored = scipy.io.loadmat(io.BytesIO(content))
    except _DAMAGED as error:
        if isinstance(error, _checks.InputError):
            raise
        reason = " ".join(str(error).split())[:160]
        raise _checks.InputError(f"truncated or damaged .mat file ({type(error).__name__}: {reason})") from None
    return {name: value for name, value in stored.items() if not name.startswith("__")}


def _model(path: str, make: Callable[[dict[str, np.ndarray]], Any]) -> tuple[Any, tuple[str, str]]:
    """A model made of the arrays of an .npz or .mat file."""
    content, file = _read(path)
    try:
        read = _matlab if path.endswith(".mat") else array_files.load_npz
        return make(read(content, pathlib.Path(path).name)), file
    except _checks.InputError as error:
        raise _checks.InputError(f"{path}: {error}") from None
    except (ValueError, TypeError, np.linalg.LinAlgError) as error:  # Arrays of another form.
        raise _checks.InputError(f"{path}: not a model of this metric ({str(error)[:160]})") from None


def _integrated(path: str) -> spec.MetricSpec:
    model, file = _model(path, _ilniqe.from_arrays)
    return FileMetricSpec(
        name=f"ilniqe@{pathlib.Path(path).stem}",
        fn=functools.partial(_ilniqe.ilniqe, model=model),
        family="no_reference",
        higher_is_better=False,
        colour="opponent",
        range=(0.0, None),
        smallest_side=1,
        differentiable=True,
        convention=(
            "colours rounded to 0..255, not rounded again after resizing, 36 blocks; flat windows are zeros, a block "
            "without values of both signs stands at the mean of the others; pristine model of the file"
        ),
        reference="Zhang, Zhang, Bovik, IEEE TIP 24(8), 2015",
        worse_with=("blur", "noise"),
        data_range="0-255 rounded",
        window="5x5 Gaussian, sigma 5/6; derivatives of Gaussian, sigma 1.66; 12 log-Gabor filters",
        border="edge for the luma, zero for the derivatives, periodic for the log-Gabor filters",
        downsampling=f"to {_ilniqe.SIDE} x {_ilniqe.SIDE} (antialiased bicubic), features there and at half size",
        undefined="no block has values of both signs in every map, so a flat image",
        suite="learned",
        files=(file,),
    )


def _pristine(path: str) -> spec.MetricSpec:
    model, file = _model(path, _niqe.from_arrays)
    fields = {f.name: getattr(_NIQE, f.name) for f in dataclasses.fields(spec.MetricSpec)}
    return FileMetricSpec(
        **fields
        | {
            "name": f"niqe@{pathlib.Path(path).stem}",
            "fn": functools.partial(_niqe.niqe, model=model, original=True),
            "convention": (
                "luma as MATLAB's rgb2gray, cut at the right and bottom to multiples of 96, all blocks; flat blocks as "
                f"in the original code; {_FLAT_WINDOWS}; pristine model of the file"
            ),
        },
        files=(file,),
    )


def _regression(
    name: str, model: _brisque.SupportVectors, files: tuple[tuple[str, str], ...], said: str
) -> spec.MetricSpec:
    return FileMetricSpec(
        name=name,
        fn=functools.partial(_brisque.brisque, model=model),
        family="no_reference",
        higher_is_better=False,
        colour="Y BT.601",
        range=(None, None),
        smallest_side=_brisque.SMALLEST_SIDE,
        differentiable=True,
        convention=(
            f"original release: luma as MATLAB's rgb2gray, zero border, {_FLAT_WINDOWS}, features rounded to six "
            f"digits; regression and feature ranges of {said}"
        ),
        reference="Mittal, Moorthy, Bovik, IEEE TIP 21(12), 2012",
        worse_with=("blur", "noise"),
        data_range="0-255 rounded",
        window="7x7 Gaussian, sigma 7/6",
        border="zero",
        downsampling="features at full and at half size (antialiased bicubic)",
        undefined="the image is flat, or its normalised luma has no values of both signs",
        suite="learned",
        files=files,
    )


def _support_vectors(path: str) -> spec.MetricSpec:
    content, file = _read(path, text=True)
    try:
        model = _brisque.read_libsvm(content)
    except _checks.InputError as error:
        raise _checks.InputError(f"{path}: {error}") from None
    return _regression(f"brisque@{pathlib.Path(path).stem}", model, (file,), "the file and the original release")


def _brisque_package() -> spec.MetricSpec:
    """The model inside the registry's package `brisque`, which is found but not imported."""
    found = importlib.util.find_spec("brisque")
    if found is None or not found.submodule_search_locations:
        raise _checks.InputError(
            "brisque: needs a regression model: brisque@PATH (a libsvm file), or the package brisque (extra brisque)"
        )
    folder = pathlib.Path(next(iter(found.submodule_search_locations))) / "models"
    (content, file), (scaling, scaling_file) = _read(f"{folder}/svm.txt"), _read(f"{folder}/normalize.pickle")
    try:
        stored = pickles.load(io.BytesIO(scaling), scaling_file[0])
        ranges = np.array([stored["min_"], stored["max_"]], np.float64).T
        model = _brisque.read_libsvm(content, ranges)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _checks.InputError(f"brisque: the installed package holds no model known here ({error})") from None
    return _regression("brisque@package", model, (file, scaling_file), "the registry's package brisque")


def _perceptual(trunk: str, trunk_path: str, linear_path: str) -> spec.MetricSpec:
    (trunk_file, trunk_hash), (linear_file, linear_hash) = _checkpoint(trunk_path), _checkpoint(linear_path)
    params = {"trunk": _lpips.trunk_params(trunk, trunk_file), "linear": _lpips.linear_params(trunk, linear_file)}
    return FileMetricSpec(
        name={"alexnet": "lpips_alex", "vgg16": "lpips_vgg", "squeezenet1_1": "lpips_squeeze"}[trunk],
        fn=functools.partial(_lpips.lpips, jax.tree.map(jnp.asarray, params), trunk=trunk),
        family="full_reference",
        higher_is_better=False,
        colour="network input",
        range=(0.0, None),
        smallest_side=_lpips.SMALLEST_SIDE[trunk],
        differentiable=True,
        convention="version 0.1, 1e-10 added to the norm, no resizing",
        reference="Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018",
        worse_with=("blur", "noise"),
        perfect=0.0,
        symmetric=True,
        border="the trunk's",
        suite="learned",
        files=(trunk_hash, linear_hash),
    )


def _structure_texture(trunk_path: str, weights_path: str) -> spec.MetricSpec:
    (trunk_file, trunk_hash), (weights_file, weights_hash) = _checkpoint(trunk_path), _checkpoint(weights_path)
    params = {"trunk": _lpips.trunk_params("vgg16", trunk_file), "channels": _dists.channel_params(weights_file)}
    return FileMetricSpec(
        name="dists",
        fn=functools.partial(_dists.dists, jax.tree.map(jnp.asarray, params)),
        family="full_reference",
        higher_is_better=False,
        colour="network input",
        range=(None, None),
        smallest_side=_dists.SMALLEST_SIDE,
        differentiable=True,
        convention="VGG16 with Hanning-weighted L2 pooling, c1 = c2 = 1e-6, no resizing",
        reference="Ding, Ma, Wang, Simoncelli, TPAMI 44(5), 2022",
        worse_with=("blur", "noise"),
        perfect=0.0,
        symmetric=True,
        border="zero",
        suite="learned",
        files=(trunk_hash, weights_hash),
    )


def _antonyms(network_text: str, tokenizer_path: str) -> spec.MetricSpec:
    architecture, mark, path = network_text.partition("=")
    if not mark:
        raise _checks.InputError(
            f"clip_iqa: expected clip_iqa@ARCHITECTURE=WEIGHTS,TOKENIZER, got no weights in {network_text!r}"
        )
    network = backbones.load(architecture, path)
    if network.text is None:
        raise _checks.InputError(f"clip_iqa: {architecture} has no text tower; expected a network such as clip_vit_b32")
    tokenizer = tokenizers.load(network.text.tokenizer, tokenizer_path)
    return clip_iqa_spec(network, tokenizer)


def clip_iqa_spec(network: backbones.Network, tokenizer: backbones.Tokenizer) -> spec.MetricSpec:
    """Makes CLIP-IQA of a network with a text tower: "Good photo." against "Bad photo.".

    Args:
      network: its parameters become constants of the function. Images are resized to its input.
      tokenizer: tokenizer of the tower's kind.

    Returns:
      The spec, its files being the network's weights.

    Raises:
      InputError: without a text tower, or for a tokenizer of another kind.

    Examples:
      >>> import dataclasses
      >>> count_letters = lambda params, tokens: jax.nn.one_hot(tokens, 256).sum(axis=0)  # no transformer
      >>> tower = backbones.TextTower(count_letters, 32, 256, "clip", lambda params: (1.0, 0.0))
      >>> network = dataclasses.replace(backbones.load_packaged("scene_cnn_a"), text=tower)
      >>> tokenizer = backbones.Tokenizer("clip", lambda text: list(text.encode()), end=0, padding=0)
      >>> metrics.clip_iqa_spec(network, tokenizer).name
      'clip_iqa@scene_cnn_a'
    """
    encode_text = functools.partial(backbones.embed_prompts, network, tokenizer)
    params = jax.tree.map(jnp.asarray, network.params)

    def encode_image(image: jax.Array) -> jax.Array:
        _, features = network.apply(params, backbones.to_input(network.preprocessing, image))
        return features[backbones.EMBEDDING]

    prompts = _clip_iqa.ANTONYMS[:1]
    texts = encode_text([text for _, *pair in prompts for text in pair])
    assert network.text is not None, "embed_prompts refuses a network without a text tower"
    scale = float(network.text.temperature(network.params)[0])
    score = _clip_iqa.scorer(encode_image, lambda _: texts, scale, antonyms=prompts)
    return FileMetricSpec(
        name=f"clip_iqa@{network.name}",
        fn=score,
        family="no_reference",
        higher_is_better=True,
        colour="network input",
        range=(0.0, 1.0),
        smallest_side=1,
        differentiable=True,
        convention=(
            f'prompts "{prompts[0][1]}" and "{prompts[0][2]}", resized to the network\'s input of '
            f"{network.preprocessing.size}, positional embedding kept"
        ),
        reference="Wang, Chan, Loy, AAAI 2023",
        worse_with=("blur", "noise"),
        downsampling=f"to {network.preprocessing.size} x {network.preprocessing.size}",
        suite="learned",
        files=((f"{network.name} weights", network.weights_sha256),),
    )


# family -> (descriptions of its files, function that makes it from their paths).
_FAMILIES: Mapping[str, tuple[tuple[str, ...], Callable[..., spec.MetricSpec]]] = types.MappingProxyType(
    {
        "niqe": (("MODEL.npz or MODEL.mat",), _pristine),
        "ilniqe": (("MODEL.npz or MODEL.mat",), _integrated),
        "brisque": (("LIBSVM_MODEL",), _support_vectors),
        "lpips_alex": (("ALEXNET", "LINEAR"), functools.partial(_perceptual, "alexnet")),
        "lpips_vgg": (("VGG16", "LINEAR"), functools.partial(_perceptual, "vgg16")),
        "lpips_squeeze": (("SQUEEZENET1_1", "LINEAR"), functools.partial(_perceptual, "squeezenet1_1")),
        "dists": (("VGG16", "WEIGHTS"), _structure_texture),
        "clip_iqa": (("ARCHITECTURE=WEIGHTS", "TOKENIZER"), _antonyms),
    }
)


def usage() -> dict[str, str]:
    """Returns how each metric that reads files is written: family -> "family@FILES".

    Examples:
      >>> metrics.usage()["niqe"]
      'niqe@MODEL.npz or MODEL.mat'
    """
    return {family: f"{family}@{','.join(files)}" for family, (files, _) in _FAMILIES.items()}


def resolve(text: str) -> spec.MetricSpec:
    """Makes a metric of the text that names it.

    Args:
      text: a row of `metrics.TABLE`; or FAMILY@FILES, the paths separated by commas: niqe@MODEL and ilniqe@MODEL (.npz
        of this library's names or the original MATLAB file), brisque@LIBSVM_MODEL, lpips_alex@ALEXNET,LINEAR,
        lpips_vgg@VGG16,LINEAR, lpips_squeeze@SQUEEZENET1_1,LINEAR, dists@VGG16,WEIGHTS (torchvision's trunks and the
        authors' files), or clip_iqa@ARCHITECTURE=WEIGHTS,TOKENIZER; or "brisque", which takes the model of the
        installed package brisque.

    Returns:
      The spec; its name is the score's column, and one that reads files has their SHA-256 in its passport.

    Raises:
      InputError: for an unknown name, a wrong number of files, or a file that is missing or unfit.

    Examples:
      >>> metrics.resolve("ssim").higher_is_better
      True
    """
    family, mark, paths = text.partition("@")
    if not mark:
        if family == "brisque":
            return _brisque_package()
        if family in _FAMILIES:
            raise _checks.InputError(f"metric {family!r} reads files: {usage()[family]}")
        return _checks.lookup(table.TABLE, family, "metric")
    files, make = _checks.lookup(_FAMILIES, family, "metric that reads files")
    given = [path.strip() for path in paths.split(",")]
    if len(given) != len(files) or not all(given):
        raise _checks.InputError(
            f"metric {text!r}: expected {usage()[family]}, got {len(list(filter(None, given)))} files"
        )
    return make(*given)


def check_name(text: str) -> None:
    """Raises InputError unless `resolve` knows the name; reads no file.

    Examples:
      >>> metrics.check_name("ssim")
    """
    family, mark, _ = text.partition("@")
    if mark:
        _checks.lookup(_FAMILIES, family, "metric that reads files")
    elif family != "brisque" and family not in _FAMILIES:
        _checks.lookup(table.TABLE, family, "metric")
