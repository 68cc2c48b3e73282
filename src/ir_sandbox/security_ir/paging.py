"""Pages of at most 25 items, with opaque tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from ir_sandbox.security_ir.clock import Clock
from ir_sandbox.security_ir.errors import invalid_page_token
from ir_sandbox.security_ir.model import Parameters

PAGE_SIZE = 25

Item = TypeVar("Item")


class Pager:
    """Splits lists into pages. A token holds the last returned item, so new items never shift a page."""

    def __init__(self, clock: Clock, secret: bytes) -> None:
        """Sign tokens with `secret`."""
        self._clock = clock
        self._secret = secret

    def page(
        self,
        items: Sequence[Item],
        key: Callable[[Item], str],
        request: Parameters,
        scope: str,
        token_lifetime: timedelta,
        page_size: int = PAGE_SIZE,
    ) -> tuple[list[Item], str | None]:
        """Return the requested page and the next token.

        Args:
            items: The complete list.
            key: Returns the unique id of an item.
            request: The request with `maxResults` and `nextToken`.
            scope: The list (operation and case); a token is valid only for its list.
            token_lifetime: How long a token is valid.
            page_size: The largest number of items on a page, for any `maxResults`.

        Raises:
            ApiError: InvalidTokenException if the token is forged, of another list, or expired.
        """
        start = 0
        if token := request.get("nextToken"):
            last = self._open(token, scope, token_lifetime)
            start = next((index + 1 for index, item in enumerate(items) if key(item) == last), -1)
            if start < 0:
                raise invalid_page_token()
        end = start + min(request.get("maxResults", PAGE_SIZE), page_size)
        page = list(items[start:end])
        return page, self._seal(key(page[-1]), scope) if end < len(items) else None

    def _seal(self, last: str, scope: str) -> str:
        content = json.dumps([scope, last, self._clock().timestamp()]).encode()
        return base64.urlsafe_b64encode(self._sign(content) + content).decode()

    def _open(self, token: str, scope: str, lifetime: timedelta) -> str:
        try:
            sealed = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise invalid_page_token() from None
        content = sealed[32:]
        if not hmac.compare_digest(sealed[:32], self._sign(content)):
            raise invalid_page_token()
        token_scope, last, issued = json.loads(content)
        if token_scope != scope or self._clock().timestamp() - issued > lifetime.total_seconds():
            raise invalid_page_token()
        return str(last)

    def _sign(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, content, hashlib.sha256)
