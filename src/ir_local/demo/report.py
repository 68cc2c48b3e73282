"""What the demo claims, checked and written down: on the terminal as it happens, as JSON, and for the page."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from botocore.exceptions import ClientError

from ir_local.slack.errors import SlackError

T = TypeVar("T")

_LOOKED_AGAIN_SECONDS = 0.2
_NAME_WIDTH = 74


@dataclass(frozen=True)
class Check:
    """One claim. `part` is the part of the demo; `seconds` is how long it took to become true."""

    part: str
    name: str
    ok: bool
    seconds: float
    detail: str = ""


@dataclass
class Report:
    """The checks so far. `part` is the part of the demo that they belong to."""

    checks: list[Check] = field(default_factory=list)
    part: str = ""

    def title(self, text: str) -> None:
        """Say what comes next."""
        self.part = text
        print(f"\n{text}", flush=True)

    def check(self, name: str, look: Callable[[], T | None], *, within: float = 60.0) -> T | None:
        """Look until there is something to see, at most `within` seconds; what was seen, or None when it failed.

        A LookupError, StopIteration, SlackError or ClientError of `look` means "not yet".
        """
        started = time.monotonic()
        self._waiting(name)
        reason = "not seen"
        seen: T | None = None
        while True:
            try:
                seen = look()
            except (LookupError, StopIteration, SlackError, ClientError) as error:
                reason = f"{type(error).__name__}: {error}"
            if seen or time.monotonic() - started > within:
                break
            time.sleep(_LOOKED_AGAIN_SECONDS)
        self._done(Check(self.part, name, bool(seen), round(time.monotonic() - started, 2), "" if seen else reason))
        return seen or None

    def stays(self, name: str, look: Callable[[], bool], *, seconds: float) -> None:
        """Look for `seconds` whether something stays as it is."""
        started = time.monotonic()
        self._waiting(name)
        ok = look()
        while ok and time.monotonic() - started < seconds:
            time.sleep(_LOOKED_AGAIN_SECONDS)
            ok = look()
        self._done(Check(self.part, name, ok, round(time.monotonic() - started, 2), "" if ok else "it changed"))

    @property
    def failed(self) -> int:
        """How many claims were not seen."""
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
