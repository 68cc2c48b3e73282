"""Lone surrogates: JSON can hold them, UTF-8 and the services cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def replace_lone_surrogates(value: Any) -> Any:
    """Replace lone surrogates with U+FFFD in the strings and keys of a JSON value."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {replace_lone_surrogates(name): replace_lone_surrogates(item) for name, item in value.items()}
    if isinstance(value, list):
        return [replace_lone_surrogates(item) for item in value]
    return value
