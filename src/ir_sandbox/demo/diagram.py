"""Draw the workflow of state-machine.asl.json as SVG, with the path of one execution."""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFINITION = Path("state-machine.asl.json")

_WIDTH, _HEIGHT = 190, 30
_ACROSS, _DOWN = 208, 58
_MARGIN = 8

Edge = tuple[str, str]


@dataclass(frozen=True)
class Graph:
    """States and transitions in the order of the definition. `start` is the first state of every execution."""

    start: str
    kinds: Mapping[str, str]
    edges: Sequence[Edge]

    def without(self, left_out: Iterable[str]) -> Graph:
        """Return a copy without some states."""
        gone = set(left_out)
        return Graph(
            self.start,
            {name: kind for name, kind in self.kinds.items() if name not in gone},
            [edge for edge in self.edges if not gone & set(edge)],
        )


def read(definition: Mapping[str, Any]) -> tuple[Graph, set[str]]:
    """Return the graph of a state machine, and the states that only errors lead to."""
    kinds: dict[str, str] = {}
    edges: list[Edge] = []
    caught: list[Edge] = []
    _walk(definition, None, kinds, edges, caught)
    start = str(definition["StartAt"])
    reached = _reached(start, edges)
    return Graph(start, kinds, [*edges, *caught]), set(kinds) - reached


def draw(definition: Mapping[str, Any], entered: Sequence[str]) -> str:
    """Draw a state machine as SVG with the entered states highlighted; show error states only if entered."""
    graph, only_by_error = read(definition)
    graph = graph.without(only_by_error - set(entered))
    visited = set(entered)
    forward = _forward_edges(graph)
    places = _places(graph, forward)
    width = max(x for x, _ in places.values()) + _WIDTH + 2 * _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + 2 * _MARGIN
    taken = _taken(graph, entered)
    lines = [_line(places, edge, edge in taken, edge in forward) for edge in graph.edges if edge not in taken]
    lines += [_line(places, edge, True, edge in forward) for edge in graph.edges if edge in taken]
    boxes = [_box(name, graph.kinds[name], places[name], name in visited) for name in graph.kinds]
    steps = html.escape(", ".join(dict.fromkeys(entered)), quote=True)
    return (
        f'<svg class="diagram" viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}" role="img"'
        f' aria-label="The path: {steps}">{"".join(lines)}{"".join(boxes)}</svg>'
    )


def definition_of_the_project() -> dict[str, Any]:
    """Read state-machine.asl.json; its substitutions are inside strings, so it is valid JSON."""
    found: dict[str, Any] = json.loads(DEFINITION.read_text("utf-8"))
    return found


def _walk(
    machine: Mapping[str, Any], after: str | None, kinds: dict[str, str], edges: list[Edge], caught: list[Edge]
) -> None:
    """Add a state machine, or a branch that continues with the state `after`."""
    for name, state in machine["States"].items():
        kinds[name] = state["Type"]
        following = [choice["Next"] for choice in state.get("Choices", [])]
        following += [state[key] for key in ("Default", "Next") if key in state]
        caught += [(name, catcher["Next"]) for catcher in state.get("Catch", [])]
        if state["Type"] == "Parallel":
            for branch in state["Branches"]:
                edges.append((name, branch["StartAt"]))
                _walk(branch, state.get("Next"), kinds, edges, caught)
            continue
        if state.get("End") and after:
            following.append(after)
        edges += [(name, target) for target in dict.fromkeys(following)]


def _reached(start: str, edges: Sequence[Edge]) -> set[str]:
    reached, ahead = {start}, [start]
    while ahead:
        here = ahead.pop()
        found = {target for source, target in edges if source == here} - reached
        reached |= found
        ahead += found
    return reached


def _forward_edges(graph: Graph) -> set[Edge]:
    """Return the edges except those that lead back to a state on their own path."""
    forward: set[Edge] = set()
    done: set[str] = set()

    def visit(here: str, way: frozenset[str]) -> None:
        for source, target in graph.edges:
            if source != here or target in way:
                continue
            forward.add((source, target))
            if target not in done:
                visit(target, way | {target})
        done.add(here)

    visit(graph.start, frozenset({graph.start}))
    return forward


def _places(graph: Graph, forward: set[Edge]) -> dict[str, tuple[float, float]]:
    """Return the upper left corner of each box: below its predecessors, near their middle."""
    layers: dict[str, int] = {}

    def layer(name: str) -> int:
        if name not in layers:
            layers[name] = 1 + max((layer(source) for source, target in forward if target == name), default=-1)
        return layers[name]

    rows: dict[int, list[str]] = {}
    for name in graph.kinds:
        rows.setdefault(layer(name), []).append(name)
    middle: dict[str, float] = {}
    for _, row in sorted(rows.items()):
        wished = {name: _mean(middle[source] for source, target in forward if target == name) for name in row}
        ordered = sorted(row, key=lambda name: wished[name])
        left = _mean(wished.values()) - (len(row) - 1) / 2
        for number, name in enumerate(ordered):
            middle[name] = left + number
    first = min(middle.values())
    return {name: ((middle[name] - first) * _ACROSS, layers[name] * _DOWN) for name in graph.kinds}


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def _taken(graph: Graph, entered: Sequence[str]) -> set[Edge]:
    """Return the edges on the path: from a Choice to the next entered state, from others to any later one."""
    following = set(itertools.pairwise(entered))
    first = {name: entered.index(name) for name in set(entered)}
    last = {name: number for number, name in enumerate(entered)}
    return {
        (source, target)
        for source, target in graph.edges
        if source in first
        and target in last
        and first[source] < last[target]
        and (graph.kinds[source] != "Choice" or (source, target) in following)
    }


def _line(places: Mapping[str, tuple[float, float]], edge: Edge, taken: bool, forward: bool) -> str:
    (x1, y1), (x2, y2) = places[edge[0]], places[edge[1]]
    x1, y1, x2 = x1 + _WIDTH / 2, y1 + _HEIGHT, x2 + _WIDTH / 2
    bend = (_DOWN - _HEIGHT) if forward else 2 * _DOWN
    curve = f"C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"
    return f'<path class="{"way taken" if taken else "way"}" d="M{x1:.0f} {y1:.0f}{curve}"/>'


def _box(name: str, kind: str, place: tuple[float, float], visited: bool) -> str:
    x, y = place
    corner = {"Choice": 15, "Succeed": 15, "Fail": 15}.get(kind, 4)
    classes = " ".join(["box", kind.lower(), *(["entered"] if visited else [])])
    return (
        f'<g class="{classes}"><rect x="{x:.0f}" y="{y:.0f}" width="{_WIDTH}" height="{_HEIGHT}" rx="{corner}"/>'
        f'<text x="{x + _WIDTH / 2:.0f}" y="{y + _HEIGHT / 2:.0f}">{html.escape(name)}</text></g>'
    )
