"""Patch the emulator's code, and refuse to if it is not the code that the patch was written for."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any


class EmulatorChangedError(Exception):
    """A part of the emulator differs from the one that a patch was written for; the message names it."""


def module(name: str) -> Any:
    """Return a module of the emulator by its name below `ministack`, untyped."""
    return importlib.import_module(f"ministack.{name}")


def fingerprint(function: Callable[..., Any]) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of a function's source."""
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]


def replace(owner: ModuleType, name: str, expected: str, replacement: Callable[..., Any]) -> Callable[..., Any]:
    """Replace a function of a module and return the original.

    Raises EmulatorChangedError unless the original's fingerprint is `expected`: when the function changes, the
    replacement must be reviewed.
    """
    original = checked(owner, name, expected)
    setattr(owner, name, replacement)
    return original


def checked(owner: ModuleType, name: str, expected: str) -> Callable[..., Any]:
    """Return a function of the emulator; raises EmulatorChangedError unless its fingerprint is `expected`."""
    original: Callable[..., Any] | None = getattr(owner, name, None)
    if original is None:
        raise EmulatorChangedError(f"{owner.__name__}.{name} does not exist; review the module and fix its patch.")
    found = fingerprint(original)
    if found != expected:
        raise EmulatorChangedError(
            f"{owner.__name__}.{name} has changed (fingerprint {found}, the patch was written for {expected}); "
            "review it, fix its patch, and update the fingerprint."
        )
    return original


def replace_value(owner: ModuleType, name: str, expected: object, value: object) -> None:
    """Change a variable of the emulator; raises EmulatorChangedError unless its value is `expected`."""
    found = getattr(owner, name, None)
    if found != expected:
        raise EmulatorChangedError(f"{owner.__name__}.{name} is {found!r}, not {expected!r}.")
    setattr(owner, name, value)


def replace_text(text: str, old: str, new: str, where: str) -> str:
    """Replace the only occurrence of `old`; raises EmulatorChangedError unless there is exactly one in `where`."""
    found = text.count(old)
    if found != 1:
        raise EmulatorChangedError(f"{where} contains this text {found} times, not once: {old!r}")
    return text.replace(old, new)


def rewrite(owner: ModuleType, name: str, *changes: tuple[str, str]) -> None:
    """Recompile a function or method (`Class.method`) with changes to its source.

    Each change is a pair (old, new); the old text must occur exactly once. Raises EmulatorChangedError.
    """
    holder: Any = owner
    *path, last = name.split(".")
    for part in path:
        holder = getattr(holder, part)
    source = textwrap.dedent(inspect.getsource(getattr(holder, last)))
    for old, new in changes:
        source = replace_text(source, old, new, f"{owner.__name__}.{name}")
    scope: dict[str, Any] = {}
    # Run in the module's globals, so that the new function sees the module's names, including later changes.
    exec(compile(source, str(owner.__file__), "exec"), owner.__dict__, scope)  # noqa: S102
    setattr(holder, last, scope[last])
