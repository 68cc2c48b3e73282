"""Compare e-mail addresses. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def same_mailbox(address: str) -> str:
    """Return an address without letter case, `+` suffix and dots of its local part; empty for no address.

    Mail systems deliver such variants to one mailbox, so they must not make two people of one.
    """
    local, at, domain = address.strip().casefold().rpartition("@")
    return f"{local.partition('+')[0].replace('.', '')}@{domain}" if at else ""


def without_suffix(address: str) -> str:
    """Return an address without the `+` suffix of its local part."""
    local, at, domain = address.strip().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def domain_of(address: str) -> str:
    """Return the domain in lower case; empty for no address."""
    _, at, domain = address.strip().casefold().rpartition("@")
    return domain if at else ""


def is_within(address: str, domains: Iterable[str]) -> bool:
    """Return whether an address has one of these domains. Subdomains are other domains."""
    return domain_of(address) in {domain.strip().casefold() for domain in domains}
