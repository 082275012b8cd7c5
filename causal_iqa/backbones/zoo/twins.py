"""Networks whose weight files have the same tensors and that compute something else: told apart, or asked about.

References:
  [1] timm 1.0: `tf_` models pad as TensorFlow does and have its epsilon; `resnetaa` and `resnetblur` reduce by
      pooling; all have the tensors of the plain models.
  [2] Cherti et al. CVPR 2023 (OpenCLIP): models with the exact GELU beside those of OpenAI's quick GELU.
  [3] Chen, Xie, He. ICCV 2021 (MoCo v3): a ViT-S with twelve heads.
"""

import re
import types
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from causal_iqa import _checks
from causal_iqa.backbones.weights import statements


class _Twin(NamedTuple):
    """One network of a group: its row of the table ("" where there is none), names that mean it, what is different."""

    architecture: str
    named: re.Pattern[str]
    computes: str


class _Group(NamedTuple):
    """Networks of the same tensors.

    Attributes:
      twins: the more specific names first.
      general: row whose name does not say which is meant -> the twin's row that computes the same.
      telling: a tensor of the files in which they cannot be told apart; "" for every format.
    """

    twins: tuple[_Twin, ...]
    general: Mapping[str, str]
    telling: str = ""


_TIMM_STEM = "conv_stem.weight"


def _padded(timm_name: str, row: str, plain: str) -> _Group:
    """A network of timm's own training and TensorFlow's."""
    return _Group(
        (
            _Twin(f"tf_{row}", re.compile(rf"tf_({timm_name}|{row})"), "TensorFlow's padding and epsilon .001"),
            _Twin(f"timm_{row}", re.compile(f"{timm_name}|{row}"), "PyTorch's padding and epsilon .00001"),
        ),
        types.MappingProxyType({row: plain}),
        _TIMM_STEM,
    )


_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
_RESNET_ROWS = (*_RESNETS, "wide_resnet50_2", "resnext50_32x4d")
_REDUCED = re.compile(r"resnet(aa|blur)\d+")
_CAFFE = re.compile(r"caffe|vgg16_features_amdegroot|(?<![a-z])msra(?![a-z])")
_QUICK = re.compile(
    r"openai|quick_?gelu|metaclip|(?<![a-z])dfn\d|vit_b_?32.*laion400m|rn50.*(yfcc|cc12m)|clip_vit_(b32|b16|l14)"
)
_EXACT = re.compile(r"laion|datacomp|commonpool|openclip")


def _clip(size: str) -> _Group:
    exact = _Twin(f"openclip_vit_{size}", _EXACT, "the exact GELU")
    return _Group((_Twin(f"clip_vit_{size}", _QUICK, "the quick GELU"), exact), {})


_GROUPS = (
    _padded("efficientnet_b0", "efficientnet_b0", "timm_efficientnet_b0"),
    _padded("efficientnet_lite0", "efficientnet_lite0", "tf_efficientnet_lite0"),
    _padded("mobilenetv3_large_100", "mobilenet_v3_large", "timm_mobilenet_v3_large"),
    _padded("mobilenetv3_small_100", "mobilenet_v3_small", "timm_mobilenet_v3_small"),
    *(_clip(size) for size in ("b32", "b16", "l14")),
)
# Row -> networks of its tensors that the library does not have: (names that mean them, what they compute).
_ABSENT: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = types.MappingProxyType(
    {
        **{
            row: ((_REDUCED, "reduces by pooling where this one strides"), (_CAFFE, "strides in the 1x1 convolution"))
            for name in _RESNET_ROWS
            for row in (name, f"{name}_v2")
        },
        **dict.fromkeys(("vgg16", "alexnet", "squeezenet1_1"), ((_CAFFE, "reads pixels of 0 to 255, less means"),)),
        "vit_s16": ((re.compile(r"moco"), "has twelve heads"),),
        "deit_s16": ((re.compile(r"moco"), "has twelve heads"),),
        "clip_rn50": ((_EXACT, "has the exact GELU in its text tower"),),
    }
)


def _quoted(name: str, where: str) -> str:
    return f"{where} says {name[:60]}"


def check(
    architecture: str,
    path: str,
    tensors: Mapping[str, np.ndarray],
    stated: statements.Statement,
    *,
    scripted: bool = False,
) -> None:
    """Raises InputError unless a file can be of this architecture and of no twin.

    Args:
      architecture: a row of the table, whose tensors the file has.
      path: path of the file, for messages.
      tensors: the file's.
      stated: the statements about it.
      scripted: whether the file is an archive as OpenAI published CLIP.

    Raises:
      InputError: when the statements name a twin, or when there are none and several architectures share the name.
    """
    for named, computes in _ABSENT.get(architecture, ()):
        found = stated.said(named)
        if found:
            raise _checks.InputError(
                f"{path}: {_quoted(*found)}, which has the tensors of {architecture} but {computes}; the library does "
                "not have that network"
            )
    for group in _GROUPS:
        rows = (*group.general, *(twin.architecture for twin in group.twins))
        if architecture in rows and (not group.telling or group.telling in tensors):
            _check_group(group, architecture, path, _meant(group, stated, scripted))


def _meant(group: _Group, stated: statements.Statement, scripted: bool) -> tuple[_Twin, str] | None:
    """The twin that the statements about a file name, and the statement."""
    if group.telling:
        for name, where in stated.names:
            twin = next((twin for twin in group.twins if twin.named.search(name)), None)
            if twin:
                return twin, _quoted(name, where)
        return None
    quick, exact = group.twins
    if scripted:
        return quick, "the file is an archive as OpenAI published them"
    if stated.activation is not None:
        return (quick if stated.activation == "quick_gelu" else exact), f"its configuration says {stated.activation}"
    for name, where in stated.names:
        for twin in (exact, quick) if exact.named.search(name) and "quick" not in name else (quick, exact):
            if twin.named.search(name):
                return twin, _quoted(name, where)
    return None


def _check_group(group: _Group, architecture: str, path: str, meant: tuple[_Twin, str] | None) -> None:
    if meant:
        twin, why = meant
        if twin.architecture not in (architecture, group.general.get(architecture)):
            raise _checks.InputError(
                f"{path}: {why}, that is {twin.architecture} ({twin.computes}), whose tensors have the names and "
                f"shapes of {architecture}'s; say {twin.architecture}"
            )
    elif architecture in group.general:
        rows = " or ".join(f"{twin.architecture} ({twin.computes})" for twin in group.twins)
        raise _checks.InputError(
            f"{path}: the tensors are those of {rows}, and neither its name nor a config.json in its folder says "
            "which; give one of the two as the architecture"
        )
