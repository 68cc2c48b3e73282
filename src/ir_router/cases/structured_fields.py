"""Values of a case's structured fields in the form that the API accepts. Pure.

Formats: botocore's model of `security-ir` 2018-05-10 (`IPAddress`, `AwsService`, `AwsRegion`).
"""

from __future__ import annotations

import ipaddress
import re

USER_AGENT_LENGTH = 500
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")
_SERVICE = re.compile(r"[a-zA-Z0-9 -.():]{2,50}")


def address(text: str) -> str:
    """Return the address as the API accepts it; empty for the name of an AWS service.

    The API accepts IPv6 only with all eight groups and in capital letters.
    """
    try:
        return ipaddress.ip_address(text).exploded.upper()
    except ValueError:
        return ""


def threat_actor(source: str, agent: str) -> dict[str, str] | None:
    """Return an entry of `threatActorIpAddresses`, or None if the source is no address."""
    found = address(source)
    shown = " ".join(agent.split())[:USER_AGENT_LENGTH]
    return {"ipAddress": found, **({"userAgent": shown} if shown else {})} if found else None


def is_service(name: str) -> bool:
    """Return whether the API accepts the name of a service."""
    return _SERVICE.fullmatch(name) is not None


def is_region(name: str) -> bool:
    """Return whether the name has the form of a Region."""
    return _REGION.fullmatch(name) is not None
