"""Text that can be written as UTF-8. JSON can hold half a character (a lone surrogate); no service takes that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


def whole(value: Any) -> Any:
    """The JSON value with U+FFFD for each half of a character, in names as well."""
    if isinstance(value, str):
        return _HALF_A_CHARACTER.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {whole(name): whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value
