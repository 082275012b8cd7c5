"""Causal graphs of the metric families, and the independences that they imply.

Nodes: C imaging condition, S scene, Y label, X image, X_in the image after the task's preprocessing, R the clean
reference, Q the quality score, M the network's performance, W its weights, T task knowledge (class names, anchors).
"""

import dataclasses
import itertools
import types
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import networkx
from networkx.algorithms import d_separation

# What holds of image, label and judged network, whatever the score.
TASK = "C -> X, S -> X, S -> Y, X -> X_in, X_in -> M, Y -> M, W -> M"


@dataclasses.dataclass(frozen=True)
class Graph:
    """A directed acyclic graph; an edge (a, b) says that a is a direct cause of b.

    Attributes:
      nodes: names, without repetition.
      edges: pairs of nodes, without repetition.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if len(set(self.nodes)) < len(self.nodes) or len(set(self.edges)) < len(self.edges):
            raise ValueError(f"nodes, edges: expected each once, got {self.nodes} and {self.edges}")
        check_nodes(self, (node for edge in self.edges for node in edge))
        try:
            cycle = networkx.find_cycle(to_networkx(self))
        except networkx.NetworkXNoCycle:
            return
        raise ValueError(f"edges: expected no cycle, got {' -> '.join([*(edge[0] for edge in cycle), cycle[0][0]])}")

    def __str__(self) -> str:
        """Returns the text that `parse` reads."""
        joined = {node for edge in self.edges for node in edge}
        alone = [node for node in self.nodes if node not in joined]
        return ", ".join([*(f"{a} -> {b}" for a, b in self.edges), *alone])


class Independence(NamedTuple):
    """x and y are independent given `given` in every distribution that the graph generates."""

    x: str
    y: str
    given: frozenset[str]


def parse(text: str) -> Graph:
    """Reads a graph from text such as "C -> X, S -> X -> Q, W".

    Args:
      text: edges, chains of edges and lone nodes, separated by commas. A repeated edge counts once.

    Returns:
      The graph; nodes and edges in order of appearance.

    Raises:
      ValueError: for an empty name, a cycle or no node at all.

    Examples:
      >>> causal.parse("C -> X, S -> X -> Q").nodes
      ('C', 'X', 'S', 'Q')
    """
    nodes: dict[str, None] = {}
    edges: dict[tuple[str, str], None] = {}
    for part in text.split(","):
        chain = [node.strip() for node in part.split("->")]
        if not all(node.replace("_", "a").isalnum() for node in chain):
            raise ValueError(f"text: expected nodes joined by '->', got {part.strip()!r} in {text!r}")
        nodes.update(dict.fromkeys(chain))
        edges.update(dict.fromkeys(itertools.pairwise(chain)))
    return Graph(tuple(nodes), tuple(edges))


def at_task_input(graph: Graph) -> Graph:
    """Returns the graph of the same metric computed after the task's preprocessing: X_in -> Q in place of X -> Q.

    Args:
      graph: a graph with the nodes X, X_in and Q; one that already has X_in -> Q is returned unchanged.

    Returns:
      The graph of scores with score_at=task.

    Raises:
      ValueError: when the graph has no edge X -> Q or no node X_in.

    Examples:
      >>> str(causal.at_task_input(causal.FAMILIES["no_reference"])).count("X_in -> Q")
      1
    """
    check_nodes(graph, ("X_in",))
    if ("X_in", "Q") in graph.edges and ("X", "Q") not in graph.edges:
        return graph
    if ("X", "Q") not in graph.edges:
        raise ValueError(f"graph: expected an edge X -> Q, got {graph}")
    return Graph(graph.nodes, tuple(("X_in", "Q") if edge == ("X", "Q") else edge for edge in graph.edges))


def do(graph: Graph, node: str) -> Graph:
    """Returns the graph after an intervention on `node`: no edge enters it.

    Args:
      graph: before the intervention.
      node: the node set from outside.

    Returns:
      The mutilated graph.

    Raises:
      ValueError: for an unknown node.

    References:
      [1] J. Pearl (2009), Causality, 2nd edition, section 3.2.

    Examples:
      >>> graph = causal.parse("C -> X, S -> X, S -> Y, X -> Q, X -> M, Y -> M")
      >>> causal.d_separated(causal.do(graph, "X"), "C", "M")
      True
    """
    check_nodes(graph, (node,))
    return Graph(graph.nodes, tuple(edge for edge in graph.edges if edge[1] != node))


def d_separated(graph: Graph, x: str, y: str, given: Iterable[str] = ()) -> bool:
    """Whether `given` blocks every path between x and y, so that they must be independent given it.

    Args:
      graph: the graph.
      x: a node.
      y: another node.
      given: nodes conditioned on, neither x nor y.

    Returns:
      True when separated.

    Raises:
      ValueError: for unknown nodes, or when x, y and given overlap.

    References:
      [1] J. Pearl (2009), Causality, 2nd edition, definition 1.2.3.

    Examples:
      >>> graph = causal.parse("C -> X, S -> X, S -> Y, X -> Q, X -> M, Y -> M")
      >>> causal.d_separated(graph, "Q", "M", {"C"}), causal.d_separated(graph, "Q", "M", {"X", "Y"})
      (False, True)
    """
    given = set(given)
    check_nodes(graph, (x, y, *given))
    if x == y or {x, y} & given:
        raise ValueError(f"x, y, given: expected different nodes, got {x!r}, {y!r}, {sorted(given)}")
    return networkx.is_d_separator(to_networkx(graph), {x}, {y}, given)


def adjustment_set(graph: Graph, x: str, y: str, *, observed: Iterable[str] | None = None) -> frozenset[str] | None:
    """A minimal back-door adjustment set for the effect of x on y.

    It blocks every path into x and holds no descendant of x, so that the effect is identified by adjusting for it.

    Args:
      graph: the graph.
      x: the cause.
      y: the outcome.
      observed: nodes that may be used; all by default.

    Returns:
      The set, empty when nothing confounds; None when the observed nodes hold no such set.

    Raises:
      ValueError: for unknown nodes, or when x is y.

    References:
      [1] J. Pearl (2009), Causality, 2nd edition, definition 3.3.1.
      [2] B. van der Zander, M. Liskiewicz (2020), Finding minimal d-separators in linear time, UAI.

    Examples:
      >>> graph = causal.parse("S -> C, S -> X, C -> X, X -> M")
      >>> causal.adjustment_set(graph, "C", "M", observed=["S"])
      frozenset({'S'})
    """
    observed = set(graph.nodes if observed is None else observed)
    check_nodes(graph, (x, y, *observed))
    if x == y:
        raise ValueError(f"x, y: expected different nodes, got {x!r} twice")
    whole = to_networkx(graph)
    usable = observed - networkx.descendants(whole, x) - {x, y}
    whole.remove_edges_from(list(whole.out_edges(x)))
    found = _minimal_separator(whole, x, y, restricted=usable)
    return None if found is None else frozenset(found)


def implied_independences(graph: Graph) -> tuple[Independence, ...]:
    """The testable statements of a graph: for every pair without an edge, a minimal set that separates it.

    Args:
      graph: the graph.

    Returns:
      One statement for each pair of nodes not joined by an edge, in the order of the nodes.

    References:
      [1] J. Pearl (2009), Causality, 2nd edition, section 1.2.3.

    Examples:
      >>> [str(one) for one in causal.implied_independences(causal.parse("C -> X -> Q"))]
      ["Independence(x='C', y='Q', given=frozenset({'X'}))"]
    """
    whole = to_networkx(graph)
    found = []
    for i, x in enumerate(graph.nodes):
        for y in graph.nodes[i + 1 :]:
            if not (whole.has_edge(x, y) or whole.has_edge(y, x)):
                # Minimal sets differ with the side the search starts from; the smaller is the easier to test.
                sets = [_minimal_separator(whole, x, y), _minimal_separator(whole, y, x)]
                smallest = min((one for one in sets if one is not None), key=len)
                found.append(Independence(x, y, frozenset(smallest)))
    return tuple(found)


def minimal_separator(graph: Graph, x: str, y: str, among: Iterable[str]) -> frozenset[str] | None:
    """A minimal set of the given nodes that separates x and y, the smaller of two; None when they hold none."""
    whole, among = to_networkx(graph), set(among) - {x, y}
    sets = [_minimal_separator(whole, *pair, restricted=among) for pair in ((x, y), (y, x))]
    found = [one for one in sets if one is not None]
    return frozenset(min(found, key=len)) if found else None


def _minimal_separator(whole: networkx.DiGraph, x: str, y: str, **options: set[str]) -> set[str] | None:
    return d_separation.find_minimal_d_separator(whole, {x}, {y}, **options)


def ancestors(graph: Graph, node: str) -> frozenset[str]:
    """All direct and indirect causes of a node; ValueError for an unknown one."""
    check_nodes(graph, (node,))
    return frozenset(networkx.ancestors(to_networkx(graph), node))


def check_nodes(graph: Graph, nodes: Iterable[str]) -> None:
    """Raises ValueError unless all nodes are in the graph."""
    unknown = sorted(set(nodes) - set(graph.nodes))
    if unknown:
        raise ValueError(f"unknown node {', '.join(unknown)}; the graph has {', '.join(graph.nodes)}")


def to_networkx(graph: Graph) -> networkx.DiGraph:
    """Returns a fresh networkx copy."""
    whole = networkx.DiGraph()
    whole.add_nodes_from(graph.nodes)
    whole.add_edges_from(graph.edges)
    return whole


FAMILIES: Mapping[str, Graph] = types.MappingProxyType(
    {
        "no_reference": parse(f"{TASK}, X -> Q"),
        "full_reference": parse(f"{TASK}, X -> Q, S -> R, R -> Q"),
        "label_free": parse(f"{TASK}, X -> Q, T -> Q, T -> W"),
        "task_guided": parse(f"{TASK}, X -> Q, T -> Q, T -> W, Y -> Q"),
        "feature_reference": parse(f"{TASK}, X -> Q, S -> R, R -> Q, T -> Q, T -> W"),
        # What the judged network itself puts out, such as its confidence.
        "network_output": parse(f"{TASK}, X_in -> Q, W -> Q"),
    }
)
