"""What graphs say that data can answer: testable independences, and those that tell graphs apart."""

import itertools
import types
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from causal_iqa import _codec
from causal_iqa.causal.graphs import (
    TASK,
    Graph,
    Independence,
    check_nodes,
    d_separated,
    implied_independences,
    minimal_separator,
    parse,
)


class Implication(NamedTuple):
    """An independence that a graph implies.

    Attributes:
      reason: why no data on the observed nodes can test it; empty when they can.
    """

    independence: _codec.Inline[Independence]
    reason: str


class Distinction(NamedTuple):
    """An independence on which graphs disagree: it must hold in some, and need not in others."""

    independence: _codec.Inline[Independence]
    holds_in: tuple[str, ...]
    fails_in: tuple[str, ...]


def ordered(x: str, y: str, given: Iterable[str] = ()) -> Independence:
    """Returns the statement with x and y in alphabetical order: one statement, one value."""
    first, second = sorted((x, y))
    return Independence(first, second, frozenset(given))


def implications(graph: Graph, observed: Iterable[str]) -> tuple[Implication, ...]:
    """Every pair of nodes that the graph separates, by observed nodes only where that is possible.

    Args:
      graph: the graph.
      observed: nodes that have a column; others are latent.

    Returns:
      One implication for each pair of nodes without an edge, testable ones first.

    Raises:
      ValueError: for unknown nodes.

    References:
      [1] J. Pearl (2009), Causality, 2nd edition, sections 1.2.3 and 2.3 (latent structures).

    Examples:
      >>> graph = causal.parse("C -> X, S -> X, S -> Y, X -> Q, X -> M, Y -> M")
      >>> [str(one.independence) for one in causal.implications(graph, {"C", "Y", "Q", "M"})][:1]
      ["Independence(x='C', y='Y', given=frozenset())"]
    """
    observed = set(observed)
    check_nodes(graph, observed)
    found = []
    for one in implied_independences(graph):
        hidden = [node for node in (one.x, one.y) if node not in observed]
        if hidden:
            verb = "is" if len(hidden) == 1 else "are"
            found.append(Implication(ordered(*one), f"{' and '.join(hidden)} {verb} not observed"))
            continue
        visible = minimal_separator(graph, one.x, one.y, observed)
        if visible is not None:
            found.append(Implication(ordered(one.x, one.y, visible), ""))
        else:
            latent = ", ".join(sorted(one.given - observed))
            found.append(Implication(ordered(*one), f"only given {latent}, which no column shows"))
    return tuple(sorted(found, key=lambda one: bool(one.reason)))


def distinctions(graphs: Mapping[str, Graph], observed: Iterable[str], *, most_given: int = 2) -> tuple:
    """The independences among observed nodes on which graphs disagree.

    Args:
      graphs: name -> graph.
      observed: nodes with a column; a graph without one of them implies nothing about it.
      most_given: largest number of nodes conditioned on.

    Returns:
      `Distinction`s, fewest conditions first, one for each way to split the graphs; two graphs on the same side of all
      of them cannot be told apart by independences of the observed nodes.

    References:
      [1] T. Verma, J. Pearl (1990), Equivalence and synthesis of causal models, UAI.

    Examples:
      >>> graphs = {"mine": causal.parse("C -> Q, C -> M"), **causal.ALTERNATIVES}
      >>> len(causal.distinctions(graphs, {"C", "Q", "M"})) > 0
      True
    """
    observed = sorted(set(observed))
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], Distinction] = {}
    for size in range(min(most_given, len(observed) - 2) + 1):
        for x, y in itertools.combinations(observed, 2):
            for given in itertools.combinations([node for node in observed if node not in (x, y)], size):
                sides: tuple[list[str], list[str]] = ([], [])
                for name, graph in graphs.items():
                    if {x, y, *given} <= set(graph.nodes):
                        sides[0 if d_separated(graph, x, y, given) else 1].append(name)
                split = (tuple(sides[0]), tuple(sides[1]))
                if all(split) and split not in found:
                    found[split] = Distinction(ordered(x, y, given), *split)
    return tuple(found.values())


# Graphs that a metric might have instead of that of its family. Each implies something that a score table can reject.
ALTERNATIVES: Mapping[str, Graph] = types.MappingProxyType(
    {
        # Reads the scene, sees nothing of the condition.
        "blind": parse(f"{TASK}, S -> Q"),
        # Reads the condition, nothing that the network and the scene decide.
        "irrelevant": parse(f"{TASK}, C -> Q"),
        # Carries the whole effect: Prentice's criterion.
        "surrogate": parse("C -> X, S -> X, S -> Y, X -> X_in, X_in -> Q, Q -> M, W -> M"),
    }
)
