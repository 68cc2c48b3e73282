"""One TLS context for all connections of a function.

urllib3 hands the bundle of certification authorities over with each new connection, and OpenSSL reads it again each
time: about 17 ms of processor time, that is 120 ms in a function of 256 MB. botocore makes a context for each client.
"""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

import botocore.httpsession


class _Context(ssl.SSLContext):
    """A context that reads each bundle of certification authorities once."""

    def __init__(self, _protocol: int) -> None:
        """Begin with no bundle; `ssl.SSLContext.__new__` has taken the protocol."""
        self._read: set[Any] = set()

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        """Read a bundle as `ssl.SSLContext` does, unless this context has read it before."""
        bundle = (cafile, capath, cadata)
        if bundle not in self._read:
            super().load_verify_locations(cafile, capath, cadata)
            self._read.add(bundle)


@cache
def context() -> ssl.SSLContext:
    """Return the context of this process. It verifies certificates and host names, from TLS 1.2 on.

    It trusts the bundle that botocore uses, which it reads with the first connection.
    """
    made = _Context(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def share_with_botocore() -> None:
    """Let each client that botocore creates from now on use `context`."""
    # botocore has no setting for the context. Its sessions call this name once each.
    botocore.httpsession.create_urllib3_context = context


def with_bundle(path: str) -> ssl.SSLContext:
    """Return `context` for a library that hands no bundle over. The bundle `path` is read now, if it was not before."""
    made = context()
    made.load_verify_locations(path)
    return made
