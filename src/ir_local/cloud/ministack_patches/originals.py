"""Changes the emulator's code, and refuses to when that code is not the one that the change was written for."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any


class EmulatorChangedError(Exception):
    """A part of the emulator differs from the one that a patch was written for; the message says which."""


def module(name: str) -> Any:
    """A module of the emulator, by its name below `ministack`; its contents are unknown to type checkers."""
    return importlib.import_module(f"ministack.{name}")


def fingerprint(function: Callable[..., Any]) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of a function's source."""
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]


def replace(owner: ModuleType, name: str, expected: str, replacement: Callable[..., Any]) -> Callable[..., Any]:
    """Put `replacement` in the place of a function and return the original.

    Raises EmulatorChangedError unless the original's fingerprint is `expected`: what replaces or wraps a function has
    to be read again when the function changes.
    """
    original = checked(owner, name, expected)
    setattr(owner, name, replacement)
    return original


def checked(owner: ModuleType, name: str, expected: str) -> Callable[..., Any]:
    """A function of the emulator; raises EmulatorChangedError unless its fingerprint is `expected`."""
    original: Callable[..., Any] | None = getattr(owner, name, None)
    if original is None:
        raise EmulatorChangedError(f"{owner.__name__}.{name} is gone; read the module again and mend its patch.")
    found = fingerprint(original)
    if found != expected:
        raise EmulatorChangedError(
            f"{owner.__name__}.{name} has changed (fingerprint {found}, the patch was written for {expected}); "
            "read it again, mend its patch, and note the new fingerprint there."
        )
    return original


def replace_value(owner: ModuleType, name: str, expected: object, value: object) -> None:
    """Give a variable of the emulator another value; raises EmulatorChangedError unless it is `expected` so far."""
    found = getattr(owner, name, None)
    if found != expected:
        raise EmulatorChangedError(f"{owner.__name__}.{name} is {found!r}, not {expected!r}.")
    setattr(owner, name, value)


def replace_text(text: str, old: str, new: str, where: str) -> str:
    """`text` with its only `old` made `new`; raises EmulatorChangedError unless there is exactly one."""
    found = text.count(old)
    if found != 1:
        raise EmulatorChangedError(f"{where} holds {found} times, not once: {old!r}")
    return text.replace(old, new)


def rewrite(owner: ModuleType, name: str, *changes: tuple[str, str]) -> None:
    """Compile a function or method (`Class.method`) again with texts of its source changed.

    Each change is (old, new); each old text has to occur exactly once. Raises EmulatorChangedError.
    """
    holder: Any = owner
    *path, last = name.split(".")
    for part in path:
        holder = getattr(holder, part)
    source = textwrap.dedent(inspect.getsource(getattr(holder, last)))
    for old, new in changes:
        source = replace_text(source, old, new, f"{owner.__name__}.{name}")
    scope: dict[str, Any] = {}
    # The new function has to see the module's names, those changed later included, so it is compiled in its globals.
    exec(compile(source, str(owner.__file__), "exec"), owner.__dict__, scope)  # noqa: S102
    setattr(holder, last, scope[last])
