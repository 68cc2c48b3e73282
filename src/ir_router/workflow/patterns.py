"""Compile EventBridge event patterns, with the operators that detections.json uses.

Every field of the pattern must match. One matching entry in a field's list is enough. A list in the event matches if
one of its elements does: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Predicate = Callable[[Any], bool]

_MISSING = object()
_OR = "$or"
_NEGATED = frozenset({"prefix", "suffix", "wildcard"})
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
    """Return a function that tests an event. Raises PatternError if the pattern uses an unsupported form."""
    # Check values before objects: most events fail there, and the back-test reads millions of events.
    names = sorted(pattern, key=lambda name: isinstance(pattern[name], Mapping))
    fields = [(name, _field(pattern[name], name)) for name in names if name != _OR]
    choices = [compiled(option) for option in _options(pattern[_OR])] if _OR in pattern else []

    def matches(value: Any) -> bool:
        if isinstance(value, dict):
            for name, field in fields:
                if not field(value.get(name, _MISSING)):
                    return False
            return not choices or any(choice(value) for choice in choices)
        if isinstance(value, list) and value:
            return any(matches(element) for element in value)
        absent = all(field(_MISSING) for _name, field in fields)
        return absent and (not choices or any(choice(_MISSING) for choice in choices))

    return matches


def _options(alternatives: Any) -> Sequence[Mapping[str, Any]]:
    if (
        not isinstance(alternatives, list)
        or len(alternatives) < 2
        or not all(isinstance(option, Mapping) for option in alternatives)
    ):
        raise PatternError(f"{_OR} requires a list of at least two patterns")
    return alternatives


def _field(entry: Any, name: str) -> Predicate:
    if isinstance(entry, Mapping):
        return compiled(entry)
    if not isinstance(entry, list) or not entry:
        raise PatternError(f"{name}: a pattern's field must be an object or a non-empty list")
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
        raise PatternError(f"{name}: an entry must have exactly one operator")
    ((operator, operand),) = option.items()
    if operator == "exists" and isinstance(operand, bool):
        return lambda value: (value is not _MISSING) is operand
    if operator == "prefix" and isinstance(operand, str):
        return lambda value: isinstance(value, str) and value.startswith(operand)
    if operator == "suffix" and isinstance(operand, str):
        return lambda value: isinstance(value, str) and value.endswith(operand)
    if operator == "wildcard" and isinstance(operand, str):
        wildcard = _wildcard(operand)
        return lambda value: isinstance(value, str) and wildcard.fullmatch(value) is not None
    if operator == "anything-but" and isinstance(operand, Mapping):
        if not set(operand) <= _NEGATED or len(operand) != 1:
            raise PatternError(f"{name}: anything-but supports only {', '.join(sorted(_NEGATED))}")
        ((kind, texts),) = operand.items()
        excluded = [_operator({kind: text}, name) for text in (texts if isinstance(texts, list) else [texts])]
        return lambda value: (
            value is not _MISSING and not isinstance(value, Mapping) and not any(one(value) for one in excluded)
        )
    if operator == "anything-but":
        values = frozenset(_typed(item) for item in (operand if isinstance(operand, list) else [operand]))
        return lambda value: value is not _MISSING and not isinstance(value, Mapping) and _typed(value) not in values
    if operator == "numeric" and isinstance(operand, list):
        return _numeric(operand, name)
    raise PatternError(f"{name}: the operator {operator} is not supported")


def _wildcard(operand: str) -> re.Pattern[str]:
    r"""Compile a wildcard: `*` stands for any characters, `\*` and `\\` for themselves."""
    parts = re.findall(r"\\[*\\]|\*|[^*\\]+|\\", operand)
    return re.compile(
        "".join(".*" if part == "*" else re.escape(part[-1:] if part[0] == "\\" else part) for part in parts), re.DOTALL
    )


def _numeric(operand: Sequence[Any], name: str) -> Predicate:
    if len(operand) not in (2, 4) or not all(sign in _COMPARISONS for sign in operand[::2]):
        raise PatternError(f"{name}: numeric requires one or two comparisons")
    comparisons = [(_COMPARISONS[sign], limit) for sign, limit in zip(operand[::2], operand[1::2], strict=True)]

    def matches(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return all(compare(value, limit) for compare, limit in comparisons)

    return matches
