"""What a set of degraded copies is: one frozen value, checked, that fixes every pixel of it."""

import dataclasses
import functools
import json
import types
from collections.abc import Mapping
from typing import Any

from causal_iqa import _checks, data, degradations
from causal_iqa.degradations import CLEAN, Condition

FORMATS = ("png", "webp", "jpeg", "array_record")
SIDE_FILES = ("link", "none")
# What the releases call their parameters -> the family of `degradations` that has them.
PARAMETERS: Mapping[str, str] = types.MappingProxyType(
    {
        "imagenet_c": "imagenet224",
        "imagenet_c_299": "inception299",
        "tiny_imagenet_c": "tiny64",
        "cifar_c": "cifar32",
    }
)
_JPEG_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class CopyConfig:
    """Everything the copies depend on.

    Attributes:
      images: a folder with images at any depth, one image, a text file with one path a line, or "tfds:NAME".
      data_dir: folder of the prepared TFDS datasets.
      split: split of a TFDS dataset.
      degradations: names of `degradations.TABLE`, with options in brackets where wanted.
      severities: severities of each degradation, in (0, 5].
      extra_conditions: further conditions as `degradations.Condition` writes them.
      parameters: a key of PARAMETERS; None: none, which is enough where every degradation is defined at any size.
      quantise: what becomes of fractions of 1/255 before they are rounded, one of `degradations.QUANTISE`.
      stored: quality of a JPEG coding before the copy is stored; None: none.
      clean: whether the clean images are written, too, as condition "clean", severity 0.
      format: format of the copies, one of FORMATS; "array_record": a dataset of TFDS for each condition.
      quality: 1 to 100, of JPEG (None: 95), WebP (None: without loss) and records (None: PNG, else JPEG).
      side_files: the treatment of files that are no images, one of SIDE_FILES.
      seed: seed of the degradations.
      max_pixels: the most pixels of an image that is decoded; larger ones count as unreadable.
    """

    images: str
    data_dir: str | None = None
    split: str | None = None
    degradations: tuple[str, ...] = degradations.named_set("imagenet_c")
    severities: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)
    extra_conditions: tuple[str, ...] = ()
    parameters: str | None = None
    quantise: str = "none"
    stored: int | None = None
    clean: bool = False
    format: str = "png"
    quality: int | None = None
    side_files: str = "link"
    seed: int = 0
    max_pixels: int = data.MAX_PIXELS

    def __post_init__(self) -> None:
        _checks.check_choice(self.format, FORMATS, "format")
        _checks.check_choice(self.side_files, SIDE_FILES, "side_files")
        if self.parameters is not None:
            _checks.check_choice(self.parameters, PARAMETERS, "parameters")
        if self.quality is not None and (self.format == "png" or not 1 <= self.quality <= 100):
            expected = "no quality for png" if self.format == "png" else "a number from 1 to 100"
            raise _checks.InputError(f"quality: expected {expected}, got {self.quality}")
        if not 0 <= self.seed < 2**31:
            raise _checks.InputError(f"seed: expected 0 to {2**31 - 1}, got {self.seed}")
        if self.max_pixels < 1:
            raise _checks.InputError(f"max_pixels: expected at least 1, got {self.max_pixels}")
        for severity in self.severities:
            degradations.check_severity(severity)
        names = [str(condition) for condition in self.conditions]
        if not names:
            raise _checks.InputError("degradations: expected at least one degradation and one severity")
        for name in names:
            if names.count(name) > 1:
                raise _checks.InputError(f"conditions: {name!r} is given twice")
        for condition in self.conditions[self.clean :]:
            if condition.severity == 0:
                raise _checks.InputError(f"condition: {condition} has severity 0; --clean writes the clean images")
        self._check_parameters()

    def _check_parameters(self) -> None:
        for condition in self.conditions:
            for step in condition.steps:
                sized = set(degradations.TABLE[step.name].parameters) & set(degradations.FAMILIES)
                if sized and condition.family is None:
                    raise _checks.InputError(
                        f"parameters: {step.name} was published with parameters for several sizes of images; choose "
                        f"by --parameters={'|'.join(PARAMETERS)} (imagecorruptions applies imagenet_c)"
                    )

    @property
    def stored_quality(self) -> int | None:
        """Quality with which a copy is stored; None: without loss."""
        return self.quality or (_JPEG_QUALITY if self.format == "jpeg" else None)

    @property
    def image_format(self) -> str:
        """Format in which the images themselves are stored."""
        return self.format if self.format != "array_record" else "png" if self.quality is None else "jpeg"

    @functools.cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Clean first where wanted, then every degradation at every severity, then the extra ones."""
        family = PARAMETERS[self.parameters] if self.parameters else None
        steps = [degradations.parse_label(label) for label in self.degradations]
        given = [Condition([dataclasses.replace(step, severity=s)]) for step in steps for s in self.severities]
        given += map(Condition.parse, self.extra_conditions)
        degraded = [
            Condition(
                one.steps,
                family=one.family or family,
                quantise=one.quantise if one.quantise != "none" else self.quantise,
                stored=one.stored or self.stored,
            )
            for one in given
        ]
        return (*([Condition(CLEAN, 0.0)] if self.clean else []), *degraded)

    def to_json(self) -> dict[str, Any]:
        """Returns the config as JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))
