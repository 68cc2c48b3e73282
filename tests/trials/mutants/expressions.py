"""The changes of an expression: which node of it becomes which text."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator

Change = tuple[ast.expr, str, str]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_COUNTERPARTS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_WRITES = frozenset({"put", "put_item", "update", "update_item", "delete", "delete_item"})
# Prose is reviewed by readers and held by the language test; tests hold the facts in it.
_WORDS_OF_PROSE = 4
# Python ignores an underscore at the end of a codec's name, so the change would be none.
_CODECS = frozenset({"ascii", "latin-1", "utf-8", "utf-16-le", "utf-16-be"})
_BUILT_IN = frozenset({"str", "int", "float", "list", "tuple", "dict", "None"})
_PREDICATE = re.compile(r"attribute_(not_)?exists\(")
_ALWAYS = "attribute_exists(PK) OR attribute_not_exists(PK)"


def changes(node: ast.expr) -> Iterator[Change]:
    """Every change of the expression and of its parts; none of log calls, of annotations and of prose."""
    if isinstance(node, ast.Call) and (is_log(node) or ast.unparse(node.func) == "field"):
        return
    if isinstance(node, ast.JoinedStr):
        yield from _formatted(node)
        return
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
        return
    yield from _own(node)
    skipped = _conditions(node) if isinstance(node, ast.Call) else []
    for child in ast.iter_child_nodes(node):
        if any(child is one for one in skipped):
            continue
        if isinstance(child, ast.comprehension):
            parts = [child.iter, *child.ifs]
            tests = (test for test in child.ifs if not is_negated_elsewhere(test))
            yield from ((test, "condition", f"(not ({ast.unparse(test)}))") for test in tests)
        elif isinstance(child, ast.keyword):
            parts = [child.value]
        elif isinstance(child, ast.expr):
            parts = [child]
        else:
            continue
        for part in parts:
            yield from changes(part)


def is_negated_elsewhere(test: ast.expr) -> bool:
    """Whether negating the condition is no change of its own: a comparison's operator or a `not` changes already."""
    return isinstance(test, ast.Constant | ast.UnaryOp) or (isinstance(test, ast.Compare) and len(test.ops) == 1)


def is_log(call: ast.Call) -> bool:
    """Whether the call writes a log line."""
    func = call.func
    return isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "logger"


def other_operator(operator: ast.operator) -> ast.operator | None:
    """The operator that takes its place."""
    other = _OPERATORS.get(type(operator))
    return other() if other else None


def _own(node: ast.expr) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=[operator]):
            yield _changed(node, "comparison", "ops", [_COMPARISONS[type(operator)]()])
        case ast.BoolOp(op=operator, values=values):
            yield _changed(node, "boolean", "op", ast.Or() if isinstance(operator, ast.And) else ast.And())
            if len(values) > 2:
                yield _changed(node, "boolean", "values", values[:-1])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, "condition", ast.unparse(operand)
        case ast.IfExp(test=test) if not is_negated_elsewhere(test):
            yield test, "condition", f"(not ({ast.unparse(test)}))"
        case ast.Constant():
            yield from _constant(node)
        case ast.BinOp(op=operator) if not _is_type(node):
            other = other_operator(operator)
            if other is not None:
                yield _changed(node, "arithmetic", "op", other)
        case ast.Subscript(slice=ast.Slice(lower=lower, upper=upper) as cut, ctx=ast.Load()):
            for name, bound in (("lower", lower), ("upper", upper)):
                if bound is not None:
                    other_cut = copy.copy(cut)
                    setattr(other_cut, name, None)
                    yield _changed(node, "boundary", "slice", other_cut)
        case ast.Call():
            yield from _call(node)


def _call(node: ast.Call) -> Iterator[Change]:
    if isinstance(node.func, ast.Name) and node.func.id in _COUNTERPARTS:
        yield _changed(node, "boundary", "func", ast.Name(_COUNTERPARTS[node.func.id], ast.Load()))
    for keyword in node.keywords:
        if keyword.arg is not None:
            yield _changed(node, "argument", "keywords", [one for one in node.keywords if one is not keyword])
    for condition in _conditions(node):
        text = str(condition.value)
        yield condition, "write condition", repr(f"{text} OR {_ALWAYS}")
        for joint in (" AND ", " OR "):
            *kept, dropped = text.split(joint)
            if kept and "(" not in _PREDICATE.sub("", text):
                yield condition, "write condition", repr(_without(joint, joint.join(kept), dropped))


def _without(joint: str, kept: str, dropped: str) -> str:
    """The condition without a clause, which stays mentioned: DynamoDB refuses values that no expression uses."""
    if joint == " AND ":
        return f"({kept}) AND ({dropped} OR {_ALWAYS})"
    return f"({kept}) OR ({dropped} AND attribute_exists(PK) AND attribute_not_exists(PK))"


def _conditions(node: ast.Call) -> list[ast.Constant]:
    """The condition of a call of `table.put`, `table.update`, ...: the last positional string."""
    func = node.func
    is_write = isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "table"
    if not (is_write and isinstance(func, ast.Attribute) and func.attr in _WRITES):
        return []
    first = 1 if func.attr.startswith("delete") else 2
    return [one for one in node.args[first:] if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _constant(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield node, "constant", repr(not value)
    elif isinstance(value, int | float):
        yield node, "constant", repr(value + 1)
        yield node, "constant", repr(value - 1)
    elif isinstance(value, str) and len(value.split()) < _WORDS_OF_PROSE and value not in _CODECS:
        yield node, "constant", repr(f"{value}_")


def _formatted(node: ast.JoinedStr) -> Iterator[Change]:
    """The text without one of its values: a fact that people or a key would miss."""
    for number, part in enumerate(node.values):
        if isinstance(part, ast.FormattedValue):
            others = [one for index, one in enumerate(node.values) if index != number]
            try:
                yield node, "text", ast.unparse(ast.JoinedStr(others))
            except ValueError:
                continue  # Python 3.11 cannot write every f-string with a backslash


def _changed(node: ast.expr, kind: str, field: str, value: object) -> Change:
    other = copy.copy(node)
    setattr(other, field, value)
    return node, kind, ast.unparse(other)


def _is_type(node: ast.BinOp) -> bool:
    """`A | B` of classes, as isinstance takes it."""
    names = [ast.unparse(one).rpartition(".")[2] for one in (node.left, node.right)]
    return isinstance(node.op, ast.BitOr) and all(name[:1].isupper() or name in _BUILT_IN for name in names)
