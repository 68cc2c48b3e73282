"""EventBridge event patterns: the subset of operators that detections.json uses, compiled once.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html: every field of the pattern must match,
any entry of a field's list suffices, a list in the event matches when one of its elements does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Predicate = Callable[[Any], bool]

_MISSING = object()
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda value, limit: value == limit,
    "<": lambda value, limit: value < limit,
    "<=": lambda value, limit: value <= limit,
    ">": lambda value, limit: value > limit,
    ">=": lambda value, limit: value >= limit,
}


class PatternError(ValueError):
    """The pattern uses an operator or a form that is not supported here."""


def compiled(pattern: Mapping[str, Any]) -> Predicate:
    """A function from event to whether it matches. Raises PatternError when the pattern cannot be evaluated."""
    # Values before objects: what most events lack is then found out first (the back-test reads millions).
    names = sorted(pattern, key=lambda name: isinstance(pattern[name], Mapping))
    fields = [(name, _field(pattern[name], name)) for name in names]

    def matches(value: Any) -> bool:
        if isinstance(value, dict):
            for name, field in fields:  # noqa: SIM110 - a generator costs more than all the comparisons
                if not field(value.get(name, _MISSING)):
                    return False
            return True
        if isinstance(value, list) and value:
            return any(matches(element) for element in value)
        return all(field(_MISSING) for _name, field in fields)

    return matches


def _field(entry: Any, name: str) -> Predicate:
    if isinstance(entry, Mapping):
        return compiled(entry)
    if not isinstance(entry, list) or not entry:
        raise PatternError(f"{name}: a pattern's field holds an object or a list with at least one entry")
    texts = frozenset(option for option in entry if isinstance(option, str))
    exact = frozenset(_typed(option) for option in entry if not isinstance(option, Mapping | str))
    operators = [_operator(option, name) for option in entry if isinstance(option, Mapping)]

    def matches(value: Any) -> bool:
        if isinstance(value, str):
            if value in texts:
                return True
        elif isinstance(value, list):
            return any(matches(element) for element in value) if value else matches(_MISSING)
        elif exact and isinstance(value, int | float | None) and _typed(value) in exact:
            return True
        for operator in operators:  # noqa: SIM110 - as above
            if operator(value):
                return True
        return False

    return matches


def _typed(value: Any) -> tuple[bool, Any]:
    # In Python True == 1; in JSON they differ.
    return isinstance(value, bool), value


def _operator(option: Mapping[str, Any], name: str) -> Predicate:
    if len(option) != 1:
        raise PatternError(f"{name}: an entry has exactly one operator")
    ((operator, operand),) = option.items()
    if operator == "exists" and isinstance(operand, bool):
        return lambda value: (value is not _MISSING) is operand
    if operator == "prefix" and isinstance(operand, str):
        return lambda value: isinstance(value, str) and value.startswith(operand)
    if operator == "suffix" and isinstance(operand, str):
        return lambda value: isinstance(value, str) and value.endswith(operand)
    if operator == "anything-but":
        excluded = frozenset(_typed(item) for item in (operand if isinstance(operand, list) else [operand]))
        return lambda value: value is not _MISSING and not isinstance(value, Mapping) and _typed(value) not in excluded
    if operator == "numeric" and isinstance(operand, list):
        return _numeric(operand, name)
    raise PatternError(f"{name}: the operator {operator} is not supported")


def _numeric(operand: Sequence[Any], name: str) -> Predicate:
    if len(operand) not in (2, 4) or not all(sign in _COMPARISONS for sign in operand[::2]):
        raise PatternError(f"{name}: numeric takes one or two comparisons")
    comparisons = [(_COMPARISONS[sign], limit) for sign, limit in zip(operand[::2], operand[1::2], strict=True)]

    def matches(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return all(compare(value, limit) for compare, limit in comparisons)

    return matches
