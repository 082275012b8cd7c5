"""Imaging conditions as values: which degradations at which severities, in which order, and how the result is kept.

A condition has one written form, e.g. `fog/3`, `defocus_blur/2.5+gaussian_noise/1`, `glass_blur[exchange=swap]/4` or
`gaussian_noise/5|quantise=truncate;stored=85`; `Condition.parse` is the inverse of `str`.
"""

import dataclasses
import json
import numbers
import re
import types
from collections.abc import Iterable, Mapping
from typing import Any

from causal_iqa import _checks
from causal_iqa.degradations import ladder
from causal_iqa.degradations.table import TABLE

CLEAN = "clean"
QUANTISE = ("none", "round", "truncate")
# JPEG, chroma 4:2:0, of the released ImageNet-C.
IMAGENET_C_QUALITY = 85

_STEP = re.compile(r"(?P<name>[^/\[\]+|]+)(\[(?P<options>[^\[\]]*)\])?(/(?P<severity>[^/]+))?")

# Characters of the written form; within options they are escaped.
_RESERVED = '"[];|,+'

Scalar = str | int | float | bool


@dataclasses.dataclass(frozen=True)
class Step:
    """One degradation of a condition.

    Attributes:
      name: a row of TABLE.
      severity: a number in [0, 5]; 0 leaves the image unchanged.
      options: (keyword, value) pairs of the degradation, sorted; a mapping is taken, too.
    """

    name: str
    severity: float
    options: tuple[tuple[str, Scalar], ...] = ()

    def __post_init__(self) -> None:
        spec = _checks.lookup(TABLE, self.name, "degradation")
        ladder.check_severity(self.severity)
        options = dict(self.options)
        for keyword, value in options.items():
            _check_option(self.name, spec.options, keyword, value)
        object.__setattr__(self, "severity", float(self.severity))
        object.__setattr__(self, "options", tuple(sorted(options.items())))

    @property
    def label(self) -> str:
        """Returns the degradation with its options, e.g. "fog" or "glass_blur[exchange=swap]"."""
        if not self.options:
            return self.name
        return f"{self.name}[{';'.join(f'{k}={_written(v)}' for k, v in self.options)}]"

    def __str__(self) -> str:
        return f"{self.label}/{_written(self.severity)}"


@dataclasses.dataclass(frozen=True, init=False)
class Condition:
    """An imaging condition: an intervention on an image. No steps: the image as it came.

    Attributes:
      steps: degradations in the order in which they happen; `compose` puts them in the order of a camera.
      family: family of the parameters, one of FAMILIES; None: by the size of the image.
      quantise: what becomes of the result's fractions of 1/255: "none" keeps them, "round" rounds to 8 bits, "truncate"
        cuts them off as the code of ImageNet-C and CIFAR-10-C does.
      stored: quality of a last JPEG coding, 4:2:0, 1..100; the released ImageNet-C is IMAGENET_C_QUALITY. None: none.
    """

    steps: tuple[Step, ...]
    family: str | None
    quantise: str
    stored: int | None

    def __init__(
        self,
        steps: str | Iterable[Step] = (),
        severity: float | None = None,
        *,
        options: Mapping[str, Scalar] = types.MappingProxyType({}),
        family: str | None = None,
        quantise: str = "none",
        stored: int | None = None,
    ):
        """Makes a condition of steps, or of one degradation by its name.

        Args:
          steps: the steps, or the name of a degradation, or CLEAN.
          severity: severity of that degradation.
          options: options of that degradation.
          family: family of the parameters.
          quantise: one of QUANTISE.
          stored: JPEG quality, or None.

        Raises:
          InputError: for unknown names, options or choices, or numbers out of range.
        """
        if isinstance(steps, str):
            steps = _one_step(steps, severity, options)
        elif severity is not None or options:
            raise _checks.InputError("severity, options: expected only together with the name of one degradation")
        if family is not None:
            _checks.check_choice(family, ladder.FAMILIES, "family")
        _checks.check_choice(quantise, QUANTISE, "quantise")
        check_stored(stored)
        values = {
            "steps": tuple(steps),
            "family": family,
            "quantise": quantise,
            "stored": stored if stored is None else int(stored),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def degradation(self) -> str:
        """Returns the written form without severities, e.g. "fog" or "defocus_blur+gaussian_noise|stored=85"."""
        return "|".join(["+".join(step.label for step in self.steps) or CLEAN, *self._how()])

    @property
    def severity(self) -> float:
        """Returns the largest severity of the steps; 0 for a clean image."""
        return max((step.severity for step in self.steps), default=0.0)

    @property
    def structure(self) -> "Condition":
        """Returns the condition with all severities 0; conditions with one structure share a compiled program."""
        return dataclasses.replace(self, steps=tuple(dataclasses.replace(step, severity=0.0) for step in self.steps))

    @property
    def severities(self) -> tuple[float, ...]:
        """Returns the severity of every step."""
        return tuple(step.severity for step in self.steps)

    @property
    def group(self) -> str:
        """Returns the group of the degradation, or "composed"."""
        return TABLE[self.steps[0].name].group if len(self.steps) == 1 else "composed" if self.steps else CLEAN

    @property
    def name(self) -> str:
        """Returns the written form, e.g. "fog/3"; "clean/0" without steps."""
        return str(self)

    def __str__(self) -> str:
        return "|".join(["+".join(map(str, self.steps)) or f"{CLEAN}/0", *self._how()])

    def _how(self) -> list[str]:
        how = {"family": self.family, "quantise": self.quantise, "stored": self.stored}
        own = [f"{k}={v}" for k, v in how.items() if v not in (None, "none")]
        return [";".join(own)] if own else []

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Reads the written form. Steps keep their order.

        Args:
          text: `NAME/SEVERITY` joined by "+"; options of a degradation in brackets behind its name, joined by ";"; then
            optionally "|" and any of family, quantise and stored as `KEYWORD=VALUE`, joined by ";".

        Returns:
          The condition.

        Raises:
          InputError: when it cannot be read, naming what is wrong.
        """
        written, _, how = text.partition("|")
        steps = (
            [] if written.strip() in (CLEAN, f"{CLEAN}/0") else [_parse_step(part, text) for part in _split(written)]
        )
        values: dict[str, Any] = _pairs(how, f"condition {text!r}") if how else {}
        for keyword in values:
            _checks.check_choice(keyword, ("family", "quantise", "stored"), f"condition {text!r}")
        return cls(steps, **values)

    def to_json(self) -> dict[str, Any]:
        """Returns the condition as JSON values."""
        steps = [{"name": s.name, "severity": s.severity, "options": dict(s.options)} for s in self.steps]
        return {"steps": steps, "family": self.family, "quantise": self.quantise, "stored": self.stored}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Condition":
        """Inverse of `to_json`; InputError for unknown fields."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            _checks.check_choice(name, known, "condition")
        steps = [Step(s["name"], s["severity"], tuple(s.get("options", {}).items())) for s in values.get("steps", ())]
        return cls(steps, **{name: value for name, value in values.items() if name != "steps"})


def check_stored(stored: int | None) -> None:
    """Raises InputError unless `stored` is None or a JPEG quality.

    Examples:
      >>> degradations.check_stored(85)
    """
    if stored is not None and (
        isinstance(stored, bool) or not isinstance(stored, numbers.Integral) or not 1 <= stored <= 100
    ):
        raise _checks.InputError(f"stored: expected a JPEG quality from 1 to 100, or None, got {stored!r}")


def parse_label(text: str) -> Step:
    """Reads a degradation without a severity, e.g. "fog" or "glass_blur[exchange=swap]"; its severity is 1.

    Examples:
      >>> degradations.parse_label("fog").name
      'fog'
    """
    return _parse_step(text, text, needs_severity=False)


def _one_step(name: str, severity: float | None, options: Mapping[str, Scalar]) -> tuple[Step, ...]:
    if name == CLEAN:
        if severity or options:
            raise _checks.InputError(f"severity: expected 0 and no options for {CLEAN!r}, got {severity!r}")
        return ()
    if severity is None:
        raise _checks.InputError(f"severity: expected a number for {name!r} (Condition.parse reads 'fog/3')")
    return (Step(name, severity, tuple(options.items())),)


def _check_option(name: str, known: Mapping[str, Any], keyword: str, value: Scalar) -> None:
    if not known:
        raise _checks.InputError(f"{name}: it has no options, got {keyword!r}")
    _checks.check_choice(keyword, known, f"option of {name}")
    if not isinstance(value, Scalar):
        raise _checks.InputError(f"{name}[{keyword}]: expected text, a number or true/false, got {type(value)}")
    choices = known[keyword]
    if isinstance(choices, tuple | list) and value not in choices:
        shown = ", ".join(map(_written, choices))
        raise _checks.InputError(f"{name}[{keyword}]: expected one of {shown}, got {_written(value)}")


def _written(value: Scalar) -> str:
    if isinstance(value, str):
        # Text that would be read back as something else keeps its quotation marks.
        if _read(value) == value and value == value.strip() and value and not set(value) & set(_RESERVED):
            return value
        return re.sub(f"[{re.escape(_RESERVED[1:])}]", lambda c: f"\\u{ord(c[0]):04x}", json.dumps(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def _read(text: str) -> Scalar:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _pairs(text: str, where: str) -> dict[str, Scalar]:
    pairs = {}
    for part in text.split(";"):
        keyword, equals, value = (piece.strip() for piece in part.partition("="))
        if not (keyword and equals and value):
            raise _checks.InputError(f"{where}: expected KEYWORD=VALUE, got {part!r}")
        if keyword in pairs:
            raise _checks.InputError(f"{where}: {keyword} given twice")
        pairs[keyword] = _read(value)
    return pairs


def _split(text: str) -> list[str]:
    """Splits at "+" outside brackets."""
    return re.split(r"\+(?![^\[]*\])", text)


def _parse_step(text: str, whole: str, needs_severity: bool = True) -> Step:
    found = _STEP.fullmatch(text.strip())
    if not found or bool(found["severity"]) != needs_severity:
        form = "NAME/SEVERITY, e.g. fog/3" if needs_severity else "NAME or NAME[OPTION=VALUE]"
        raise _checks.InputError(f"condition {whole.strip()!r}: expected {form}, got {text.strip()!r}")
    name = found["name"].strip()
    _checks.lookup(TABLE, name, "degradation")
    options = _pairs(found["options"], name) if found["options"] else {}
    severity = found["severity"] if needs_severity else 1.0
    ladder.check_severity(severity)  # Here, as the message says what was written.
    return Step(name, float(severity), tuple(options.items()))
