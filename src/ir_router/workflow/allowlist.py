"""Decide whether a caller or its address is allowlisted. Pure.

There are two kinds of entries. An `ip` entry is an IPv4 or IPv6 address or a CIDR. A `principal` entry is a full ARN in
which `*` stands for any characters except `/` and `:`. The pattern must match the complete ARN of the caller, or of the
role or user behind its session. Callers choose the names of their sessions, so a session's name counts only for roles
of IAM Identity Center, which name their sessions after the person. The entry can end in ` via ` and the name of an AWS
service, as CloudTrail shows it (`cloudformation.amazonaws.com`): it then allows only calls that this service makes for
the caller.

A service's name alone allows nothing, because every principal can use the service, also one with a stolen key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ir_router.errors import InvalidInputError
from ir_router.ledger.allowlist import Kind
from ir_router.workflow.incident import Actor

_SERVICE_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?|AWS Internal")
_PRINCIPAL_PATTERN = re.compile(r"arn:aws[a-z-]*:(iam|sts)::\d{12}:[^:]+")
# A pattern must contain the account, the kind of principal, and the first character of the name or path.
_NARROW_ENOUGH = re.compile(r"arn:aws[a-z-]*:(iam::\d{12}:(user|role)|sts::\d{12}:assumed-role)/[^*/].*")
_VIA = " via "
_SESSION = re.compile(r"(?P<role>arn:aws[a-z-]*:sts::\d{12}:assumed-role/[^/]+/)(?P<name>[^/]+)")
# Only AWS can create roles on this path. The prefix of their names is for entries, which lack the path.
_IDENTITY_CENTER = ":role/aws-reserved/sso.amazonaws.com/"
_PERSONAL = "AWSReservedSSO_"
_SHOWN = 8
_SHORTEST_PREFIX = {4: 8, 6: 32}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Entry:
    """An allowlisted value with its reason. `kind` is `ip` or `principal`; `expires_at` is seconds since the epoch."""

    kind: Kind
    value: str
    reason: str
    expires_at: float | None = None


def find(actor: Actor, addresses: Sequence[str], entries: Iterable[Entry], now: float) -> Entry | None:
    """Return the first unexpired entry that matches the caller or its addresses.

    If several addresses are given, each of them must match. If several entries match them only together, the result
    has the values and reasons of these entries.

    Args:
        actor: The caller.
        addresses: The addresses from which the caller acted; empty if they are unknown or cannot be trusted.
        entries: Valid entries.
        now: The current time in seconds since the epoch.
    """
    missing, used = [(text, _address(text)) for text in addresses], list[Entry]()
    for entry in entries:
        if entry.expires_at is not None and entry.expires_at <= now:
            continue
        if entry.kind == "principal" and _allows_caller(entry.value, actor, addresses):
            return entry
        if entry.kind != "ip":
            continue
        network = _network(entry.value)
        left = [one for one in missing if not _allows(network, one[1])]
        if len(left) < len(missing):
            used.append(entry)
            if not left:
                return _together(used)
            missing = left
    return None


def _together(entries: Sequence[Entry]) -> Entry:
    if len(entries) == 1:
        return entries[0]
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    shown = entries[:_SHOWN]
    reasons = "; ".join(dict.fromkeys(entry.reason for entry in shown))
    return Entry("ip", f"{', '.join(entry.value for entry in shown)}{more}", reasons)


def _allows_caller(value: str, actor: Actor, addresses: Sequence[str]) -> bool:
    pattern, _, service = value.partition(_VIA)
    if service and [*addresses] != [service]:
        return False
    return any(arn and matches_caller(pattern, arn) for arn in (_session_of(actor), actor["arn"]))


def _session_of(actor: Actor) -> str:
    """Return the caller's ARN, with `*` as the name of a session whose name the caller chose."""
    session = _SESSION.fullmatch(actor["caller_arn"])
    if session is None or _IDENTITY_CENTER in actor["arn"]:
        return actor["caller_arn"]
    return f"{session['role']}*"


def without_effect(kind: Kind, value: str) -> str | None:
    """Return why a valid entry allows nothing, or None if it has an effect."""
    session = _SESSION.fullmatch(value.partition(_VIA)[0]) if kind == "principal" else None
    if kind == "principal" and ":assumed-role/" in value and session is None:
        return f"{value} allows nothing, because it names no session. Allow the role, or add /* to the entry."
    if session and session["name"] != "*" and not session["role"].rpartition("assumed-role/")[2].startswith(_PERSONAL):
        return (
            f"{value} allows nothing, because callers choose the names of their sessions. Allow the role, for example "
            f"{session['role']}*."
        )
    if kind != "ip" or not _SERVICE_NAME.fullmatch(value):
        return None
    return (
        f"{value} allows nothing alone, because every principal can use the service. Add a principal entry that names "
        f"the caller and the service, for example arn:aws:iam::123456789012:role/deploy-*{_VIA}{value}."
    )


def kind_of(text: str) -> Kind:
    """Return the kind of entry that a text names. Raises InvalidInputError for other texts."""
    match text:
        case "ip" | "principal" as kind:
            return kind
        case _:
            raise InvalidInputError("kind must be ip or principal.")


def checked(kind: Kind, value: str) -> str:
    """Return the value in its normal form. Raises InvalidInputError if the value is invalid or matches too much."""
    if kind == "ip":
        network = _network(value)
        if network is None:
            if _SERVICE_NAME.fullmatch(value):
                return value
            raise InvalidInputError(f"{value!r} is not an IP address, a CIDR or the name of an AWS service.")
        shortest = _SHORTEST_PREFIX[network.version]
        if network.prefixlen < shortest:
            every = "would allow every address" if network.prefixlen == 0 else "would allow too many addresses"
            raise InvalidInputError(f"{value} {every}. The largest network allowed is /{shortest}.")
        return str(network)
    pattern, via, service = value.partition(_VIA)
    if via and not _SERVICE_NAME.fullmatch(service):
        raise InvalidInputError(f"{service!r} is not the name of an AWS service, such as cloudformation.amazonaws.com.")
    if not _PRINCIPAL_PATTERN.fullmatch(pattern):
        raise InvalidInputError(
            f"{value!r} is not a full ARN with an account. Use, for example, arn:aws:iam::123456789012:role/deploy-*."
        )
    if not _NARROW_ENOUGH.fullmatch(pattern):
        raise InvalidInputError(
            f"{value} could allow every principal of the account. Add at least the first character after user/, "
            "role/ or assumed-role/."
        )
    return value


def _allows(network: Network | None, address: Address | None) -> bool:
    if network is None or address is None or address.version != network.version:
        return False
    return int(address) & int(network.netmask) == int(network.network_address)


@lru_cache(maxsize=4096)
def _network(value: str) -> Network | None:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _address(value: str) -> Address | None:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=1024)
def _caller_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile("[^/:]*".join(re.escape(part) for part in pattern.split("*")))


def matches_caller(pattern: str, arn: str) -> bool:
    """Whether the complete ARN matches the pattern, in which `*` stands for any characters except `/` and `:`."""
    return _caller_pattern(pattern).fullmatch(arn) is not None


@lru_cache(maxsize=1024)
def _arn_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def matches_arn(pattern: str, arn: str) -> bool:
    """Whether the complete ARN matches the pattern, in which `*` stands for any characters."""
    return _arn_pattern(pattern).fullmatch(arn) is not None
