"""The users, roles and findings that a text names, for links. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ir_router import links
from ir_router.workflow import wording_many
from ir_router.workflow.incident import Incident, Principal

# The line of a finding with its URL, among the details.
_FINDING = "Console: "


def named_in(incident: Incident, principals: Sequence[Principal] = ()) -> list[str]:
    """Return the ARNs of the users and roles that a text about the incident names.

    The console shows the account of its reader, so a principal of another account is left out unless its name has the
    account (`wording.name_of`): this account may have a user of the same name.
    """
    *_, account = incident["execution"]["id"].split(":", 5)[:5]
    named = [incident["subject"], incident["actor"], *principals[: wording_many.MOST_NAMED]]
    arns = dict.fromkeys(one["arn"] for one in named if one.get("in_account") or f":{account}:" in one["arn"])
    return [arn for arn in arns if links.principal(arn)]


def finding_url(incident: Incident) -> str:
    """Return the URL of the finding of GuardDuty; empty for another event."""
    lines = [line.removeprefix(_FINDING) for line in incident.get("details", []) if line.startswith(_FINDING)]
    return lines[0] if lines and "finding" in incident else ""
