"""Where in a training checkpoint the network is: nesting, wrappers' prefixes and copies, by rule.

Every tensor has a dotted name that starts with the entries it lies under, e.g. "state_dict.module.conv1.weight". A
network is all tensors under one prefix. Optimisers and their moments are no networks; scalars beside the tensors, such
as the best accuracy, belong to none.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

# Wrappers put these between names; they never tell networks apart.
_INFIXES = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_COUNTER = "num_batches_tracked"
# A name of an entry that shows the state of training, such as that of an optimiser.
_OF_TRAINING = re.compile(
    r"(.*_)?(optim(izer)?s?|optimizers?|sched(uler)?s?|lr_schedulers?|scaler|grad_scaler|amp|opt|rng|callbacks|loops"
    r"|exp_avg|exp_avg_sq|momentum_buffer|mu|nu)(_states?|_state_dicts?|_dicts?)?"
)
# Entries under which training code keeps a network or its wrapper keeps its inside.
_CONTAINERS = frozenset(
    {"state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "backbone"}
    | {"weights", "net_state_dict", "state", "generator", "student", "encoder_q", "online_model", "base_model"}
)
_AVERAGED = re.compile(r"(.*_)?(ema|swa|averaged?|teacher|shadow)(_.*)?")
_DEEPEST = 8
# Fewer tensors than this share of the file are a part of a network, not a whole copy.
_SMALLEST_SHARE = 0.05


class Choice(NamedTuple):
    """One network that a file may hold.

    Attributes:
      prefix: what stood before its names; "" for the whole file.
      tensors: name without the prefix -> array.
    """

    prefix: str
    tensors: Mapping[str, np.ndarray]


def is_of_network(name: str) -> bool:
    """Whether a tensor of this dotted name can be part of a network, and not of an optimiser's state."""
    return not any(_OF_TRAINING.fullmatch(part) for part in name.split(".")[:-1])


def cleaned(stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Drops what wrappers put within names, the state of optimisers, and the counters of batch norm."""
    found = {}
    for name, value in stored.items():
        for infix in _INFIXES:
            name = name.replace(infix, "")
        if is_of_network(name) and name.rsplit(".", 1)[-1] != _COUNTER:
            found[name] = value
    return found


def _under(stored: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in stored.items() if name.startswith(prefix)}


def _is_averaged(prefix: str) -> bool:
    return any(_AVERAGED.fullmatch(part) for part in prefix.split("."))


def likely(stored: Mapping[str, np.ndarray]) -> Choice:
    """Returns the tensors of a file by their names alone, when every known container is opened.

    Where a file holds a running average beside the network that was trained, the average is taken, because published
    results of such runs are those of the average.

    Args:
      stored: the file's tensors, cleaned.

    Returns:
      The choice; the whole file where its names start with no known container.
    """
    prefix, inside = "", dict(stored)
    for _ in range(_DEEPEST):
        roots = Counter(
            name.split(".", 1)[0] if "." in name else "" for name, value in inside.items() if np.ndim(value)
        )
        if not roots or not all(root in _CONTAINERS or (root and _AVERAGED.fullmatch(root)) for root in roots):
            break
        root = max(roots, key=lambda root: (_is_averaged(root), roots[root]))
        prefix, inside = f"{prefix}{root}.", _under(inside, f"{root}.")
    return Choice(prefix, inside)


def choices(stored: Mapping[str, np.ndarray]) -> Iterator[Choice]:
    """Yields every network that a file may hold, without repetition, the likeliest first.

    Args:
      stored: the file's tensors, cleaned.

    Yields: `likely`, the whole file, and the tensors under every prefix that enough tensors share; averages before the
      networks that they average, and more tensors before fewer.
    """
    first = likely(stored)
    yield first
    counts: Counter[str] = Counter()
    for name, value in stored.items():
        if np.ndim(value):
            parts = name.split(".")[:-1][:_DEEPEST]
            counts.update(".".join(parts[: i + 1]) + "." for i in range(len(parts)))
    smallest = max(2.0, _SMALLEST_SHARE * sum(np.ndim(value) > 0 for value in stored.values()))
    prefixes = [prefix for prefix, count in counts.items() if count >= smallest]
    prefixes.sort(key=lambda prefix: (not _is_averaged(prefix), -counts[prefix], len(prefix)))
    for prefix in ["", *prefixes]:
        if prefix != first.prefix:
            yield Choice(prefix, _under(stored, prefix))


def left_out(stored: Mapping[str, np.ndarray], taken: str, others: tuple[str, ...]) -> list[str]:
    """Names of the tensors outside the prefix that was taken and outside those of other networks; no scalars."""
    known = (taken, *others)
    return [name for name, value in stored.items() if np.ndim(value) and not name.startswith(known)]
