"""All mutants of a source file, found in its syntax tree and applied to its text."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator

from tests.trials.mutants import expressions
from tests.trials.mutants.mutant import SOURCE, Mutant

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_QUIET_LOGS = frozenset({"debug", "info", "warning"})
_RETRY_NAME = re.compile(r"(^|_)(ATTEMPTS?|TRIES|RETR\w*|RECEIVE_COUNT|WAIT)(_|$)")


def all_mutants() -> list[Mutant]:
    """Every mutant of the deployed package, in the order of the files and lines."""
    files = sorted(SOURCE.rglob("*.py"))
    return [mutant for file in files for mutant in of_source(str(file.relative_to(SOURCE)), file.read_bytes())]


def of_source(file: str, source: bytes) -> list[Mutant]:
    """Return every mutant of one file, each change once. `changes_something` checks that one is still Python."""
    found: dict[tuple[int, int, str], Mutant] = {}
    for mutant in _File(file, source).mutants():
        found.setdefault((mutant.start, mutant.end, mutant.text), mutant)
    return list(found.values())


def changes_something(mutant: Mutant, source: bytes) -> bool:
    """Whether the changed file is Python and another program. It parses the file twice, so ask for drawn ones only."""
    try:
        return ast.dump(ast.parse(mutant.applied(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


class _File:
    def __init__(self, file: str, source: bytes) -> None:
        self._file, self._source = file, source
        self._lines = source.split(b"\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def mutants(self) -> Iterator[Mutant]:
        yield from self._block(ast.parse(self._source).body, "")

    def _block(self, body: list[ast.stmt], function: str) -> Iterator[Mutant]:
        assigned: set[str] = set()
        for statement in body:
            yield from self._statement(statement, function, assigned)
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                assigned |= {one.id for one in targets if isinstance(one, ast.Name)}

    def _statement(self, statement: ast.stmt, function: str, assigned: set[str]) -> Iterator[Mutant]:
        if _is_no_work(statement):
            return
        where = _Where(self, statement, function)
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            name = f"{function}.{statement.name}".lstrip(".")
            if isinstance(statement, _FUNCTIONS):
                inside = _Where(self, statement, name, whole=True)
                for default in [*statement.args.defaults, *(one for one in statement.args.kw_defaults if one)]:
                    yield from self._expression(default, inside)
            yield from self._block(statement.body, name)
            return
        yield from self._deleted(statement, where, assigned)
        for field in ("test", "iter", "value", "exc", "items", "subject"):
            for node in _nodes(getattr(statement, field, None)):
                yield from self._expression(node, where)
        if isinstance(statement, ast.If | ast.While):
            yield from self._negated(statement.test, where)
        if isinstance(statement, ast.Try):
            yield from self._handlers(statement, function)
        if isinstance(statement, ast.Match):
            for case in statement.cases:
                yield from self._block(case.body, function)
        for block in ("body", "orelse", "finalbody"):
            yield from self._block(getattr(statement, block, []), function)

    def _handlers(self, statement: ast.Try, function: str) -> Iterator[Mutant]:
        for handler in statement.handlers:
            lines = tuple(range(handler.lineno, handler.body[0].lineno))
            where = _Where(self, handler, function, lines=lines)
            if isinstance(handler.type, ast.Tuple) and len(handler.type.elts) > 1:
                for dropped in handler.type.elts:
                    others = copy.deepcopy(handler.type)
                    others.elts = [one for one in handler.type.elts if one is not dropped]
                    yield where.mutant("handler", handler.type, ast.unparse(others))
            elif handler.type is not None:
                yield where.mutant("handler", handler.type, "()")
            first = handler.body[0]
            if not isinstance(first, ast.Raise):
                yield where.mutant("handler", first, "raise", as_statement=True)
            yield from self._block(handler.body, function)

    def _deleted(self, statement: ast.stmt, where: _Where, assigned: set[str]) -> Iterator[Mutant]:
        match statement:
            case ast.Expr(value=ast.Call() as call) if not _is_quiet_log(call):
                yield where.mutant("deletion", statement, "pass", as_statement=True)
            case ast.Expr(value=ast.Yield() | ast.YieldFrom() | ast.Await()):
                pass
            case ast.AugAssign():
                yield where.mutant("deletion", statement, "pass", as_statement=True)
                other = expressions.other_operator(statement.op)
                if other is not None:
                    changed = ast.AugAssign(statement.target, other, statement.value)
                    yield where.mutant("arithmetic", statement, ast.unparse(changed), as_statement=True)
            case ast.Assign(targets=targets) if where.function and all(_is_safe(one, assigned) for one in targets):
                yield where.mutant("deletion", statement, "pass", as_statement=True)
            case ast.Return(value=None) | ast.Continue() | ast.Break() | ast.Raise() | ast.Delete():
                yield where.mutant("deletion", statement, "pass", as_statement=True)
            case ast.Return(value=value) if not _is_empty(value):
                yield where.mutant("return", statement, "return None", as_statement=True)

    def _negated(self, test: ast.expr, where: _Where) -> Iterator[Mutant]:
        if not expressions.is_negated_elsewhere(test):
            yield where.mutant("condition", test, f"(not ({ast.unparse(test)}))")

    def _expression(self, node: ast.expr, where: _Where) -> Iterator[Mutant]:
        for part, kind, text in expressions.changes(node):
            constant_of_retries = kind == "constant" and where.name and _RETRY_NAME.search(where.name)
            yield where.mutant("retry" if constant_of_retries else kind, part, text)

    def place(self, node: ast.AST) -> tuple[int, int]:
        """The bytes of a node."""
        start = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def made(self, where: _Where, kind: str, node: ast.AST, text: str) -> Mutant:
        start, end = self.place(node)
        first, last = self._starts[node.lineno - 1], self._starts[node.end_lineno] - 1  # type: ignore[attr-defined]
        before, after = self._source[first:start], self._source[end:last]
        return Mutant(
            self._file,
            where.function,
            node.lineno,  # type: ignore[attr-defined]
            kind,
            start,
            end,
            text,
            _collapsed(self._source[first:last]),
            _collapsed(before + text.encode() + after),
            where.lines,
            where.name,
        )


class _Where:
    """The statement that a change is in: its function, and the lines that run when it runs."""

    def __init__(
        self,
        file: _File,
        node: ast.stmt | ast.ExceptHandler,
        function: str,
        *,
        whole: bool = False,
        lines: tuple[int, ...] = (),
    ) -> None:
        self.function = function
        body = getattr(node, "body", None)
        last = node.end_lineno or node.lineno
        if isinstance(body, list) and body and not whole:
            last = max(node.lineno, body[0].lineno - 1)
        first = body[0].lineno if whole and isinstance(body, list) else node.lineno
        self.lines = lines or tuple(range(first, last + 1))
        self.name = "" if function and not function[0].isupper() else _assigned_name(node)
        self._file = file

    def mutant(self, kind: str, node: ast.AST, text: str, *, as_statement: bool = False) -> Mutant:
        return self._file.made(self, kind, node, text if as_statement or text[0] == "(" else f"({text})")


def _nodes(value: object) -> Iterator[ast.expr]:
    for node in value if isinstance(value, list) else [value]:
        if isinstance(node, ast.withitem):
            yield node.context_expr
        elif isinstance(node, ast.expr):
            yield node


def _is_no_work(statement: ast.stmt) -> bool:
    """Return whether the statement is an import, a docstring, a type alias or only for the type checker."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar" | "cast"))):
            return True
        case ast.Assign(value=ast.Subscript(value=ast.Name(id=name)), targets=[ast.Name(id=alias)]):
            return name[0].isupper() and alias.lstrip("_")[0].isupper() and not alias.isupper()
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _is_empty(value: ast.expr | None) -> bool:
    """Return whether the value is false like None, so that a test of its truth gives the same result."""
    match value:
        case ast.Constant(value=constant):
            return not constant
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Dict(keys=elements):
            return not elements
    return False


def _is_quiet_log(call: ast.Call) -> bool:
    return expressions.is_log(call) and isinstance(call.func, ast.Attribute) and call.func.attr in _QUIET_LOGS


def _is_safe(target: ast.expr, assigned: set[str]) -> bool:
    """Whether the assignment can go without a name being unknown afterwards."""
    return isinstance(target, ast.Attribute | ast.Subscript) or (isinstance(target, ast.Name) and target.id in assigned)


def _assigned_name(node: ast.AST) -> str:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return ""


def _collapsed(text: bytes) -> str:
    return " ".join(text.decode().split())
