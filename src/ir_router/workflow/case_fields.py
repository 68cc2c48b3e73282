"""The structured fields of a case, from the facts of an event. Pure."""

from __future__ import annotations

import re
from typing import Any

from ir_router.cases import structured_fields
from ir_router.workflow.incident import Incident

_MOST_ADDRESSES = 8
# Findings and exposed keys are about credentials of IAM, not about the service that reported them.
_REPORTERS = frozenset({"guardduty", "health"})


def structured(incident: Incident) -> dict[str, Any]:
    """Return CreateCase's optional fields that the event has: source addresses, impacted service and region."""
    fields: dict[str, Any] = {}
    addresses = incident.get("addresses") or [incident["source_ip"] or ""]
    actors = [structured_fields.threat_actor(address, incident["user_agent"] or "") for address in addresses]
    if found := [actor for actor in actors if actor is not None]:
        fields["threatActorIpAddresses"] = found[:_MOST_ADDRESSES]
    service = incident["event_source"].partition(".")[0]
    service = "iam" if service in _REPORTERS else service
    if structured_fields.is_service(service):
        fields["impactedServices"] = [service]
    if structured_fields.is_region(incident["region"]):
        fields["impactedAwsRegions"] = [{"region": incident["region"]}]
    return fields


def accounts(incident: Incident) -> list[str]:
    """Return the account of the event, and that of the affected principal if it is another one."""
    found = [incident["account"].zfill(12), incident["subject"]["account"]]
    return list(dict.fromkeys(account for account in found if re.fullmatch(r"\d{12}", account)))
