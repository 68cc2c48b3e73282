"""JSON as text: for services that limit its bytes, and from senders that may nest it without limit. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from ir_router.unicode import replace_lone_surrogates

# Characters that JSON allows and SendMessage rejects. json.dumps already escapes those below U+0020.
_NOT_FOR_SQS = re.compile("[\ud800-\udfff\ufffe\uffff]")


def written(value: Any) -> str:
    """Return the JSON of a value in as few bytes of UTF-8 as possible: the escape of an emoji has twelve bytes."""
    return json.dumps(replace_lone_surrogates(value), ensure_ascii=False)


def for_queue(value: Any) -> str:
    """Return the JSON of a value for SQS, as short as `written`, with an escape for each character that SQS rejects."""
    return _NOT_FOR_SQS.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def parsed(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError for a text that is not JSON, or that is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
