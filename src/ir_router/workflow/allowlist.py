"""Who and what is expected: the allowlist's decision, pure.

Entries are of two kinds. Addresses: an IPv4 or IPv6 address or CIDR, or the exact name of an AWS service as CloudTrail
gives it (`cloudformation.amazonaws.com`). Principals: a full ARN in which `*` stands for any characters; the pattern
must match the whole ARN of the caller, or of the role or user behind its session.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ir_router.errors import InvalidInputError
from ir_router.workflow.incident import Actor

_SERVICE_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?|AWS Internal")
_PRINCIPAL_PATTERN = re.compile(r"arn:aws[a-z-]*:(iam|sts)::\d{12}:[^:]+")
# What must be spelled out: whose account, what kind of principal, and how its name (or path) begins.
_NARROW_ENOUGH = re.compile(r"arn:aws[a-z-]*:(iam::\d{12}:(user|role)|sts::\d{12}:assumed-role)/[^*/].*")
_SHORTEST_PREFIX = {4: 8, 6: 32}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Entry:
    """An allowlisted value and why. `kind` is `ip` or `principal`; `expires_at` in seconds since the epoch, or None."""

    kind: str
    value: str
    reason: str
    expires_at: float | None = None


def find(actor: Actor, source_ip: str | None, entries: Iterable[Entry], now: float) -> Entry | None:
    """The first entry that allows this caller or its address, or None."""
    for entry in entries:
        if entry.expires_at is not None and entry.expires_at <= now:
            continue
        if entry.kind == "ip" and source_ip and _allows_address(entry.value, source_ip):
            return entry
        if entry.kind == "principal" and any(
            arn and _arn_pattern(entry.value).fullmatch(arn) for arn in (actor["caller_arn"], actor["arn"])
        ):
            return entry
    return None


def checked(kind: str, value: str) -> str:
    """The value in its normal form. Raises InvalidInputError when it is no address, service or ARN, or too wide."""
    if kind == "ip":
        network = _network(value)
        if network is None:
            if _SERVICE_NAME.fullmatch(value):
                return value
            raise InvalidInputError(f"{value!r} is neither an IP address, a CIDR nor the name of an AWS service.")
        shortest = _SHORTEST_PREFIX[network.version]
        if network.prefixlen < shortest:
            every = "would allow every address" if network.prefixlen == 0 else "would allow too many addresses"
            raise InvalidInputError(f"{value} {every}: the widest network is /{shortest}.")
        return str(network)
    if kind == "principal":
        if not _PRINCIPAL_PATTERN.fullmatch(value):
            raise InvalidInputError(
                f"{value!r} is no full ARN with an account, for example arn:aws:iam::123456789012:role/deploy-*."
            )
        if not _NARROW_ENOUGH.fullmatch(value):
            raise InvalidInputError(
                f"{value} might allow every principal of the account: after user/, role/ or assumed-role/ at least the "
                "first character is spelled out."
            )
        return value
    raise InvalidInputError("kind is ip or principal.")


def _allows_address(value: str, source_ip: str) -> bool:
    network = _network(value)
    if network is None:
        return value == source_ip
    address = _address(source_ip)
    return address is not None and address.version == network.version and address in network


@lru_cache(maxsize=1024)
def _network(value: str) -> Network | None:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=1024)
def _arn_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def matches_arn(pattern: str, arn: str) -> bool:
    """Whether the whole ARN matches the pattern, in which `*` stands for any characters."""
    return _arn_pattern(pattern).fullmatch(arn) is not None
