"""Conditions drawn from a structural causal model: observational data whose causal truth is known.

A model says how an image's condition comes about: which degradation and how severe, from scene factors that are given
(`data.SceneFactors`, or any arrays), from variables of its own and from chance. Where a factor drives both the
condition and the difficulty for the network, data drawn from the model are confounded. The truth is still known: the
same images can run under `do(model, severity=3.0)`.

    model = Model(
        (
            Variable("darkness", ("exposure",), lambda key, exposure: (1.15 - exposure) / 0.45),
            logistic("which", {"darkness": 2.0}, intercept=-1.0),
            squashed("severity", {"darkness": 3.0}, intercept=-2.0, noise=0.5),
        ),
        conditions=("clean", "gaussian_noise"),
    )
    draws = sample(key, model, source.factors(indices))
    degraded = apply(key, model, images, draws)

A draw depends only on (key, image, variable): an intervention changes nothing upstream, and equal noise meets every
intervention, so that two runs under one key are each other's counterfactuals.
"""

import dataclasses
import functools
import graphlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.degradations.condition import CLEAN, Condition, Step, parse_label
from causal_iqa.degradations.intervention import do_graded
from causal_iqa.degradations.ladder import MAX_SEVERITY, check_severity
from causal_iqa.degradations.mechanisms import Variable, categorical, linear, logistic, squashed, uniform

__all__ = [
    "Draws",
    "Model",
    "Variable",
    "applied",
    "apply",
    "categorical",
    "columns",
    "do",
    "graph",
    "linear",
    "logistic",
    "sample",
    "squashed",
    "uniform",
]

_LABEL = "label"


@dataclasses.dataclass(frozen=True)
class Model:
    """A structural causal model of imaging conditions.

    Attributes:
      variables: the variables, without repetition, in any order. Parents that are no variables are scene factors, given
        when it is sampled.
      conditions: the choices of `which`: conditions, their written forms, or names of degradations. At a drawn severity
        s the most severe step of a condition has s, the others their share of it.
      which: name of the variable that is the place in `conditions`; None when there is only one.
      severity: name of the variable that is the severity; it is clipped to [0, 5].
    """

    variables: tuple[Variable, ...]
    conditions: tuple[Condition | str, ...]
    which: str | None = "which"
    severity: str = "severity"

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", tuple(_as_condition(condition) for condition in self.conditions))
        by_name = {variable.name: variable for variable in self.variables}
        if len(by_name) < len(self.variables):
            raise _checks.InputError(f"variables: expected each once, got {[v.name for v in self.variables]}")
        if not self.conditions or (self.which is None and len(self.conditions) > 1):
            raise _checks.InputError("conditions: expected at least one, and a variable `which` for more")
        for role in ("which", "severity"):
            name = getattr(self, role)
            if name is not None and name not in by_name:
                raise _checks.InputError(f"{role}: no variable {name!r}; {_checks.closest(name, by_name)}")
        sorter = graphlib.TopologicalSorter({v.name: [p for p in v.parents if p in by_name] for v in self.variables})
        try:
            order = tuple(sorter.static_order())
        except graphlib.CycleError as error:
            raise _checks.InputError(f"variables: expected no cycle, got {' -> '.join(error.args[1])}") from error
        object.__setattr__(self, "variables", tuple(by_name[name] for name in order))

    @property
    def factors(self) -> tuple[str, ...]:
        """Returns the scene factors that the conditions depend on, in order of appearance."""
        own = {variable.name for variable in self.variables}
        return tuple(dict.fromkeys(p for variable in self.variables for p in variable.parents if p not in own))


class Draws(NamedTuple):
    """What was drawn for N images."""

    which: jax.Array  # int32 [N], place in the model's conditions
    severity: jax.Array  # float32 [N], in [0, 5]
    values: Mapping[str, jax.Array]  # every variable, and every factor used: [N, ...]


def _as_condition(condition: Condition | str) -> Condition:
    if isinstance(condition, Condition):
        return condition
    if condition == CLEAN or "/" in condition:
        return Condition.parse(condition)
    step = parse_label(condition)
    return Condition([Step(step.name, MAX_SEVERITY, step.options)])


def _conditions(model: Model) -> tuple[Condition, ...]:
    return tuple(_as_condition(condition) for condition in model.conditions)


def do(model: Model, **values: float | int | Variable) -> Model:
    """Intervenes: the variables take these values whatever their parents, and lose them.

    Args:
      model: before the intervention.
      **values: variable -> value; or a Variable, whose mechanism takes the place of the old one (a randomised trial or
        a policy).

    Returns:
      The model after the surgery.

    Raises:
      InputError: for an unknown variable, a scene factor, which is set by rendering other scenes, a severity outside
        [0, 5] or a place outside the conditions.

    References:
      [1] J. Pearl (2009), Causality, 2nd edition, section 3.2.
    """
    names = [variable.name for variable in model.variables]
    for name in values:
        if name in model.factors:
            raise _checks.InputError(f"do: {name} is a given scene factor; sample with other factors and other images")
        _checks.check_choice(name, names, "do")

    _check_forced(model, values)

    def after(variable: Variable) -> Variable:
        value = values.get(variable.name, variable)
        if isinstance(value, Variable):
            return dataclasses.replace(value, name=variable.name)
        return Variable(variable.name, (), lambda key, value=value: jnp.asarray(value))

    return dataclasses.replace(model, variables=tuple(after(variable) for variable in model.variables))


def _check_forced(model: Model, values: Mapping[str, Any]) -> None:
    forced = {name: value for name, value in values.items() if not isinstance(value, Variable)}
    forced = {name: value for name, value in forced.items() if _checks.is_concrete(value)}
    if model.severity in forced:
        check_severity(forced[model.severity])
    if model.which in forced:
        _check_which(forced[model.which], len(model.conditions))


def _check_which(which: Any, count: int) -> None:
    if _checks.is_concrete(which) and np.size(which) and not (np.min(which) >= 0 and np.max(which) < count):
        raise _checks.InputError(
            f"which: expected places from 0 to {count - 1} in the model's conditions, got {np.min(which)} to "
            f"{np.max(which)}"
        )


def _check_severities(severity: Any) -> None:
    if not _checks.is_concrete(severity):
        return
    outside = ~((np.asarray(severity) >= 0) & (np.asarray(severity) <= MAX_SEVERITY))
    if outside.any():
        raise _checks.InputError(
            f"severity: expected numbers from 0 to {MAX_SEVERITY}, got {np.asarray(severity)[outside][0]} in "
            f"{int(outside.sum())} of {outside.size} draws"
        )


def sample(key: jax.Array, model: Model, factors: Any = None, *, salts: jax.Array | None = None) -> Draws:
    """Draws a condition for every image.

    Args:
      key: random key.
      model: says how conditions come about.
      factors: mapping or NamedTuple, factor -> [N, ...], e.g. `SceneFactors`; only those the model names are read. None
        when it names none.
      salts: uint32 [N], numbers that tell the images apart, e.g. hashes of their ids; None: their places. One of the
        two arguments must determine N.

    Returns:
      The draws; the draws for an image do not depend on the other images.

    Raises:
      InputError: when a factor is missing, lengths differ, or a severity is not a number.
    """
    given = factors._asdict() if hasattr(factors, "_asdict") else dict(factors or {})
    for name in model.factors:
        if name not in given:
            raise _checks.InputError(f"factors: the model depends on {name!r}; {_checks.closest(name, given)}")
    used = {name: jnp.asarray(given[name]) for name in model.factors}
    lengths = {len(value) for value in (*used.values(), *(() if salts is None else (salts,)))}
    if len(lengths) != 1:
        raise _checks.InputError(f"factors, salts: expected one number of images, got {sorted(lengths)}")

    def one(salt: jax.Array, values: dict[str, jax.Array]) -> Draws:
        image_key = jax.random.fold_in(jax.random.fold_in(key, salt), zlib.crc32(b"structural"))
        for variable in model.variables:
            own = jax.random.fold_in(image_key, zlib.crc32(variable.name.encode()))
            values = values | {variable.name: variable.fn(own, *(values[parent] for parent in variable.parents))}
        which = jnp.int32(0) if model.which is None else values[model.which].astype(jnp.int32)
        severity = jnp.clip(values[model.severity].astype(jnp.float32), 0.0, MAX_SEVERITY)
        return Draws(jnp.clip(which, 0, len(model.conditions) - 1), severity, values)

    draws = jax.vmap(one)(_salts(salts, lengths.pop()), used)
    _check_severities(draws.severity)  # They are clipped, so only NaN can fail.
    return draws


def applied(model: Model) -> Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]:
    """The function that puts one image under a drawn condition.

    Args:
      model: gives the conditions.

    Returns:
      A pure `f(key, image, which, severity) -> image`, all traced: one program for all conditions and interventions.
      Map it with `jax.lax.map`, which runs only the chosen degradation; `jax.vmap` would run all of them and choose
      afterwards.
    """
    return _switch(_conditions(model))


def apply(
    key: jax.Array, model: Model, images: jax.Array, draws: Draws, *, salts: jax.Array | None = None
) -> jax.Array:
    """Puts N images under their drawn conditions, one compiled program for every model with these conditions.

    Args:
      key: random key of the degradations: an image's noise depends only on key, salt and degradation.
      model: the model the draws came from, or any after `do`.
      images: float32 [N, H, W, 3] in [0, 1].
      draws: draws of the images.
      salts: the salts passed to `sample`.

    Returns:
      float32 [N, H, W, 3] in [0, 1].

    Raises:
      InputError: when a draw is outside the model's conditions or the severities.
      ValueError: when images are not [N, H, W, 3] in [0, 1], or there is not one draw for each.
      TypeError: when they are not floating point.
    """
    _check_images(images)
    _check_which(draws.which, len(model.conditions))
    _check_severities(draws.severity)
    if jnp.shape(draws.which) != images.shape[:1] or jnp.shape(draws.severity) != images.shape[:1]:
        raise ValueError(
            f"draws: expected one for each of {len(images)} images, got {jnp.shape(draws.which)} and "
            f"{jnp.shape(draws.severity)}"
        )
    return _program(model.conditions)(key, _salts(salts, len(images)), images, draws.which, draws.severity)


def _check_images(images: jax.Array) -> None:
    if jnp.ndim(images) != 4 or jnp.shape(images)[-1] != 3:
        raise ValueError(f"images: expected shape [N, H, W, 3], got {jnp.shape(images)}")
    if not jnp.issubdtype(jnp.result_type(images), jnp.floating):
        raise TypeError(
            f"images: expected float32 in [0, 1], got {jnp.result_type(images)} (causal_iqa.images.from_uint8 converts)"
        )
    _checks.check_unit_range(images, "images")


def _switch(conditions: tuple[Condition, ...]) -> Callable[..., jax.Array]:
    def branch(condition):
        graded = do_graded(condition.structure)
        share = np.asarray(condition.severities, np.float32) / (condition.severity or 1.0)
        return lambda key, image, severity: graded(key, image, severity * share)

    branches = [branch(condition) for condition in conditions]
    return lambda key, image, which, severity: jax.lax.switch(which, branches, key, image, severity)


@functools.lru_cache(maxsize=16)
def _program(conditions: tuple[Condition, ...]) -> Callable[..., jax.Array]:
    one = _switch(conditions)

    @jax.jit
    def program(key, salts, images, which, severity):
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))(salts)
        return jax.lax.map(lambda x: one(*x), (keys, images, which, severity))

    return program


def graph(model: Model) -> str:
    """Writes the causal graph that the model implies, for `causal.parse`.

    Args:
      model: the model; after `do` the graph is the mutilated one.

    Returns:
      Edges such as "S -> exposure, exposure -> severity, exposure -> X, severity -> X, X -> M". S is the scene behind
      all factors, X the image, Y the label (the factor `label` where the model reads it) and M the performance.
    """
    label = _LABEL if _LABEL in model.factors else "Y"
    edges = ["S -> X", f"S -> {label}", "X -> M", f"{label} -> M"]
    edges += [f"S -> {name}" for name in model.factors if name != _LABEL]
    edges += [f"{name} -> X" for name in model.factors]
    edges += [f"{parent} -> {variable.name}" for variable in model.variables for parent in variable.parents]
    edges += [f"{name} -> X" for name in (model.which, model.severity) if name is not None]
    return ", ".join(edges + [variable.name for variable in model.variables])


def columns(model: Model, draws: Draws) -> dict[str, np.ndarray]:
    """Arranges draws as columns of a table, a row per image.

    Args:
      model: the model.
      draws: draws of N images.

    Returns:
      "degradation" (its written form without severity), "severity" and every scalar factor and variable, each [N].
    """
    names = np.asarray([condition.degradation for condition in _conditions(model)])
    table = {"degradation": names[np.asarray(draws.which)], "severity": np.asarray(draws.severity)}
    scalars = {name: np.asarray(value) for name, value in draws.values.items() if value.ndim == 1}
    return table | {name: value for name, value in scalars.items() if name not in table}


def _salts(salts: jax.Array | None, num: int) -> jax.Array:
    return jnp.arange(num, dtype=jnp.uint32) if salts is None else jnp.asarray(salts, jnp.uint32)
