"""The demo's checks: run them, print them, and collect them for the JSON result and the page."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from botocore.exceptions import ClientError

from ir_sandbox.slack.errors import SlackError

T = TypeVar("T")

_POLL_SECONDS = 0.2
_NAME_WIDTH = 74


@dataclass(frozen=True)
class Check:
    """One check. `part` is its part of the demo; `seconds` is the time until it passed or failed."""

    part: str
    name: str
    ok: bool
    seconds: float
    detail: str = ""


@dataclass
class Report:
    """The checks so far. `part` is the current part of the demo."""

    checks: list[Check] = field(default_factory=list)
    part: str = ""

    def title(self, text: str) -> None:
        """Start the next part and print its title."""
        self.part = text
        print(f"\n{text}", flush=True)

    def check(self, name: str, look: Callable[[], T | None], *, within: float = 600.0) -> T | None:
        """Poll until `look` returns a true value.


        Args:
            name: The name of the check.
            look: The poll. A LookupError, StopIteration, SlackError or ClientError means "not yet".
            within: The limit in seconds; 0 polls once.

        Returns:
            The value, or None if the check failed.
        """
        started = time.monotonic()
        self._waiting(name)
        reason = "not observed"
        seen: T | None = None
        while True:
            try:
                seen = look()
            except (LookupError, StopIteration, SlackError, ClientError) as error:
                reason = f"{type(error).__name__}: {error}"
            if seen or time.monotonic() - started > within:
                break
            time.sleep(_POLL_SECONDS)
        self._done(Check(self.part, name, bool(seen), round(time.monotonic() - started, 2), "" if seen else reason))
        return seen or None

    def stays(self, name: str, look: Callable[[], bool], *, seconds: float) -> None:
        """Check that `look` stays true for `seconds`."""
        started = time.monotonic()
        self._waiting(name)
        ok = look()
        while ok and time.monotonic() - started < seconds:
            time.sleep(_POLL_SECONDS)
            ok = look()
        self._done(Check(self.part, name, ok, round(time.monotonic() - started, 2), "" if ok else "it changed"))

    @property
    def failed(self) -> int:
        """The number of failed checks."""
        return sum(not check.ok for check in self.checks)

    def write(self, path: Path) -> None:
        """Write `{"checks": [{"name", "ok", "seconds", ...}], "passed", "failed"}`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        result = {
            "checks": [asdict(check) for check in self.checks],
            "passed": len(self.checks) - self.failed,
            "failed": self.failed,
        }
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def _waiting(self, name: str) -> None:
        if sys.stdout.isatty():
            print(f"  ...     {name}", end="\r", flush=True)

    def _done(self, check: Check) -> None:
        self.checks.append(check)
        mark = "ok    " if check.ok else "FAILED"
        print(f"  {mark}  {check.name:<{_NAME_WIDTH}} {check.seconds:6.2f} s", flush=True)
        if check.detail:
            print(f"          {check.detail}", flush=True)
