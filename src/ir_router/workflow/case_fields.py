"""The structured fields of a case, from the facts of an event. Pure.

Formats: botocore's model of `security-ir` 2018-05-10 (`IPAddress`, `AwsService`, `AwsRegion`).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from ir_router.workflow.incident import Incident

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")
_SERVICE = re.compile(r"[a-zA-Z0-9 -.():]{2,50}")
# Findings and exposed keys are about credentials of IAM, not about the service that reported them.
_REPORTERS = frozenset({"guardduty", "health"})
_USER_AGENT_LENGTH = 500


def structured(incident: Incident) -> dict[str, Any]:
    """Return CreateCase's optional fields that the event has: source address, impacted service and region."""
    fields: dict[str, Any] = {}
    address = _address(incident["source_ip"] or "")
    if address:
        agent = " ".join((incident["user_agent"] or "").split())[:_USER_AGENT_LENGTH]
        fields["threatActorIpAddresses"] = [{"ipAddress": address, **({"userAgent": agent} if agent else {})}]
    service = incident["event_source"].partition(".")[0]
    service = "iam" if service in _REPORTERS else service
    if _SERVICE.fullmatch(service):
        fields["impactedServices"] = [service]
    if _REGION.fullmatch(incident["region"]):
        fields["impactedAwsRegions"] = [{"region": incident["region"]}]
    return fields


def accounts(incident: Incident) -> list[str]:
    """Return the account of the event, and that of the affected principal if it is another one."""
    found = [incident["account"].zfill(12), incident["subject"]["account"]]
    return list(dict.fromkeys(account for account in found if re.fullmatch(r"\d{12}", account)))


def _address(text: str) -> str:
    """Return the address as the API accepts it; empty for the name of an AWS service.

    The API accepts IPv6 only with all eight groups and in capital letters.
    """
    try:
        return ipaddress.ip_address(text).exploded.upper()
    except ValueError:
        return ""
