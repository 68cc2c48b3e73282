"""Count the words that the language guide replaces, in all text of this project.

    python -m tests.support.language                 # a table: words counted, and hits per thousand words
    python -m tests.support.language tell_say docs   # every place of one group in one kind of text

Kinds of text: `docs` (README and docs/), `docstrings`, `comments`, `texts` (strings of three words or more in the
deployed code and the operator's code: messages, alerts, errors, log lines) and `infrastructure` (Terraform, Makefile).
Code in Markdown (fences and back-ticks) and the specification's own texts (`ALLOWED`) do not count.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

GROUPS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "tell_say": r"\b(?:tells?|telling|told|untold|says?|saying|said)\b",
        "somebody": r"\b(?:whoever|whomever|whom|somebody|nobody|anybody|everybody)\b",
        "what_is": r"\bwhat(?:ever)?\b(?! (?:to|if|you|happened|happens)\b)(?=[ ,]+\w)",
        "door": r"\bdoors?\b",
        "mend": r"\b(?:un)?mend(?:s|ed|ing)?\b",
        "whole": r"\bwhole\b",
        "in_step": r"\b(?:in|out of) step\b(?! (?:\d|functions))",
        "carry_over": r"\b(?:carr(?:y|ies|ied|ying)|br(?:ing|ings|inging|ought)|c(?:ome|omes|oming|ame)) "
        r"(?:[a-z]+ )?over\b",
        "again": r"\b(?:try|tries|tried|trying|asked?|made|done|begun|sent|taken) again\b|\banew\b",
        "stays": r"\b(?:a|an|the) (?:failure|fault|error)s? that (?:stays?|passes)\b|\bpassing faults?\b",
        "foreign": r"\bforeign\b|\bnot of ours\b|\bof ours\b",
        "for_good": r"\bfor good\b",
        "time_out": r"\btime-outs?\b|\btime is up\b",
        "uphold": r"\bup(?:hold|holds|held|holding)\b",
        "standing": r"\bstanding\b",
        "half_way": r"\bhalf-way\b",
        "half_characters": r"\bhalf(?:-| )characters?\b|\bhalf of a character\b|\bwhole text\b",
    }.items()
}
"""The groups of words that the language guide replaces, each as one pattern."""

_ANY = re.compile("|".join(pattern.pattern for pattern in GROUPS.values()), re.IGNORECASE)
# A string of Python, or a comment as the group `comment`. The standard library's tokenizer takes twenty times as long.
_STRING_OR_COMMENT = re.compile(
    r'''("""|\'\'\')(?:\\.|.)*?\1|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?P<comment>\#[^\n]*)''', re.DOTALL
)

GOALS = {"tell_say": 1.0, "somebody": 0.5, "what_is": 1.0}
"""The goals for docs and docstrings, in hits per thousand words."""

KINDS = ("docs", "docstrings", "comments", "texts", "infrastructure")

ALLOWED: dict[str, tuple[str, ...]] = {
    "src/ir_router/commands/rendering.py": ("Please try again or contact support",),
    # The field of detections.json and its values.
    "terraform/variables.tf": ("`whom`", "`nobody`", "finding_principal and nobody"),
    "src/ir_router/workflow/detections.py": ("`nobody`", "whom:"),
    "src/ir_router/workflow/reading.py": ("whom:",),
}
"""Text that does not count: a file, and the passages in it that contain a replaced word."""


@dataclass(frozen=True)
class Passage:
    """A piece of text, with its kind, file and first line."""

    kind: str
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Hit:
    """A replaced word, with its group and place."""

    group: str
    passage: Passage
    line: int
    context: str


@functools.cache
def passages() -> tuple[Passage, ...]:
    """Return all text of this project, in pieces."""
    return tuple(_passages())


def _passages() -> Iterator[Passage]:
    for file in (
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").glob("**/*.md")),
        *sorted((ROOT / "terraform").glob("modules/*/*.md")),
    ):
        yield from _markdown(file)
    for folder in ("src", "tests"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield from _python(file)
    for file in (
        ROOT / "Makefile",
        *sorted((ROOT / "terraform").rglob("*.tf")),
        *sorted((ROOT / "terraform").rglob("*.hcl")),
    ):
        if ".terraform" not in file.parts:
            yield from _infrastructure(file)


def _name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def _markdown(file: Path) -> Iterator[Passage]:
    fenced = False
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield Passage("docs", _name(file), number, re.sub(r"`[^`]*`|\]\([^)]*\)", " ", line))


def _python(file: Path) -> Iterator[Passage]:
    source = file.read_text("utf-8")
    name = _name(file)
    tree = ast.parse(source)
    docstrings: set[int] = set()
    for owner in _bodies(tree):
        for child in owner.body:
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                docstrings.add(id(child.value))
                yield Passage("docstrings", name, child.lineno, re.sub(r"`[^`\n]*`", " ", child.value.value))
    for line, comment in comments(source):
        if not re.match(r"# (?:noqa|type:|mypy:|fmt:)", comment):
            yield Passage("comments", name, line, re.sub(r"`[^`]*`", " ", comment.lstrip("# ")))
    if name.startswith(("src/ir_router", "src/ir_operator")):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                words_of = node.value.split()
                if len(words_of) > 2 or (len(words_of) > 1 and node.value[0] in " ,.;:"):
                    yield Passage("texts", name, node.lineno, node.value)


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments of Python code, each with its line."""
    line, counted = 1, 0
    for found in _STRING_OR_COMMENT.finditer(source):
        if found["comment"] is not None:
            line, counted = line + source.count("\n", counted, found.start()), found.start()
            yield line, found["comment"]


def _bodies(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the module and its classes and functions. Their statements are walked, but no expression."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, field, None)
            left += inner if isinstance(inner, list) else []


def _infrastructure(file: Path) -> Iterator[Passage]:
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        found = re.search(
            r'(?:description|error_message|annotation|title|alarm_description|markdown)\s*=\s*"(.*)"|(?:^|\s)#+\s(.*)$',
            line,
        )
        if found:
            yield Passage("infrastructure", _name(file), number, found[1] or found[2])


@functools.cache
def hits() -> tuple[Hit, ...]:
    """Return every replaced word outside the allowed passages."""
    return tuple(_hits())


def _hits() -> Iterator[Hit]:
    for passage in passages():
        text = passage.text
        for piece in ALLOWED.get(passage.file, ()):
            text = text.replace(piece, " " * len(piece))
        flat = re.sub(r"\s", " ", text)
        if not _ANY.search(flat):
            continue
        for group, pattern in GROUPS.items():
            for found in pattern.finditer(flat):
                line = passage.line + text[: found.start()].count("\n")
                context = re.sub(r"\s+", " ", flat[max(0, found.start() - 50) : found.end() + 50])
                yield Hit(group, passage, line, context.strip())


def words() -> Counter[str]:
    """Return the number of words in each kind of text."""
    found: Counter[str] = Counter()
    for passage in passages():
        found[passage.kind] += len(passage.text.split())
    return found


def counts() -> dict[str, dict[str, int]]:
    """Return the number of hits by kind of text and group: `{kind: {group: count}}`."""
    table: dict[str, dict[str, int]] = {kind: dict.fromkeys(GROUPS, 0) for kind in KINDS}
    for hit in hits():
        table[hit.passage.kind][hit.group] += 1
    return table


def main(arguments: list[str]) -> None:
    """Print the table, or the places of one group (`all` for each) in one kind of text or below one path."""
    if arguments:
        group, where = arguments[0], arguments[1] if len(arguments) > 1 else ""
        for hit in hits():
            if group in ("all", hit.group) and (where in ("", hit.passage.kind) or hit.passage.file.startswith(where)):
                print(f"{hit.passage.file}:{hit.line}: [{hit.passage.kind} {hit.group}] {hit.context}")
        return
    total, found = words(), counts()
    print(f"{'':18}" + "".join(f"{kind:>16}" for kind in KINDS))
    print(f"{'words':18}" + "".join(f"{total[kind]:>16}" for kind in KINDS))
    for group in GROUPS:
        cells = (f"{found[kind][group]} ({1000 * found[kind][group] / max(1, total[kind]):.1f})" for kind in KINDS)
        print(f"{group:18}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main(sys.argv[1:])
