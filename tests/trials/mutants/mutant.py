"""One change of one place in the source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ir_operator.project import PROJECT_ROOT

SOURCE = PROJECT_ROOT / "src" / "ir_router"
PACKAGES = ("sync", "workflow", "commands", "ledger", "ops", "slack", "security_ir", "cases", "report", "root")


@dataclass(frozen=True)
class Mutant:
    """Bytes `start` to `end` of `file` (relative to `src/ir_router`) become `text`.

    `original` and `mutated` are the lines around the change, with white space collapsed: they name the change in
    `equivalent.json` and stay the same when lines move. A test covers the mutant if it runs one of
    `lines`. For a statement outside functions, `name` is the assigned name, and the lines that read it count.
    """

    file: str
    function: str
    line: int
    kind: str
    start: int
    end: int
    text: str
    original: str
    mutated: str
    lines: tuple[int, ...]
    name: str = ""

    @property
    def package(self) -> str:
        """The package below `ir_router`, or `root`."""
        return self.file.split("/")[0] if "/" in self.file else "root"

    @property
    def id(self) -> str:
        """Eight hexadecimal digits for `ONLY=`; they depend on the change and not on the line's number."""
        return hashlib.sha256("\0".join(self.key).encode()).hexdigest()[:8]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The fields that identify the mutant in `equivalent.json`."""
        return self.file, self.function, self.original, self.mutated

    def applied(self, source: bytes) -> bytes:
        """The file's content with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def __str__(self) -> str:
        """For people: id, place and change."""
        return f"{self.id} {self.file}:{self.line} {self.kind}: {self.original[:150]}  =>  {self.mutated[:150]}"
