"""How tensors of a weight file become parameters: lists of entries, from which layout and conversion follow."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from causal_iqa.backbones.weights import checkpoints


class Entry(NamedTuple):
    """One parameter here and the tensors of the file it is made of.

    Attributes:
      here: dotted path of the parameter; "" for tensors of the file that inference does not read.
      there: names of tensors in the file.
      shapes: shapes of these tensors.
      turn: makes the parameter of those tensors.
    """

    here: str
    there: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    turn: Callable[..., np.ndarray]


def same(here: str, there: str, *shape: int) -> Entry:
    """A tensor that is used in the form in which it is stored."""
    return Entry(here, (there,), (shape,), lambda value: value)


def reshaped(here: str, there: str, shape: Sequence[int], target: Sequence[int]) -> Entry:
    """A tensor of the same numbers in another shape."""
    return Entry(here, (there,), (tuple(shape),), lambda value: value.reshape(target))


def unused(there: str, *shape: int) -> Entry:
    """A tensor that the file holds and inference does not read."""
    return Entry("", (there,), (shape,), lambda value: value)


def norm(here: str, there: str, width: int, names: tuple[str, str] = ("weight", "bias")) -> list[Entry]:
    """A layer norm; `names` are those of its scale and bias in the file."""
    return [same(f"{here}.scale", f"{there}.{names[0]}", width), same(f"{here}.bias", f"{there}.{names[1]}", width)]


def dense(here: str, there: str, before: int, after: int, bias: bool = True, separator: str = ".") -> list[Entry]:
    """A linear layer of PyTorch, stored [after, before]."""
    kernel = Entry(f"{here}.kernel", (f"{there}{separator}weight",), ((after, before),), np.transpose)
    return [kernel, same(f"{here}.bias", f"{there}{separator}bias", after)] if bias else [kernel]


def joined_dense(here: str, there: Sequence[str], before: int, after: int) -> list[Entry]:
    """Linear layers of PyTorch side by side as one, e.g. query, key and value; `after` is of each."""
    weights, biases = (tuple(f"{name}.{kind}" for name in there) for kind in ("weight", "bias"))
    count = len(there)
    return [
        Entry(f"{here}.kernel", weights, ((after, before),) * count, lambda *parts: np.concatenate(parts).T),
        Entry(f"{here}.bias", biases, ((after,),) * count, lambda *parts: np.concatenate(parts)),
    ]


def stacked(here: str, layers: Sequence[Sequence[Entry]]) -> list[Entry]:
    """Layers of one kind as one stack, a leading axis over them; the entries of each layer in the same order."""
    stacks = []
    for entries in zip(*layers, strict=True):
        first = entries[0]
        count = len(first.there)

        def turn(*tensors: np.ndarray, entries=entries, count=count) -> np.ndarray:
            parts = [tensors[i * count : (i + 1) * count] for i in range(len(entries))]
            return np.stack([entry.turn(*part) for entry, part in zip(entries, parts, strict=True)])

        there = tuple(name for entry in entries for name in entry.there)
        stacks.append(Entry(f"{here}.{first.here}", there, sum((entry.shapes for entry in entries), ()), turn))
    return stacks


def layout(entries: Iterable[Entry]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a file must hold, name -> shape."""
    return {name: shape for entry in entries for name, shape in zip(entry.there, entry.shapes, strict=True)}


def convert(entries: Iterable[Entry], tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Turns the tensors of a file with that layout into nested float32 parameters."""
    flat = {
        entry.here: entry.turn(*(np.asarray(tensors[name], np.float32) for name in entry.there))
        for entry in entries
        if entry.here
    }
    return checkpoints.unflatten(flat)
