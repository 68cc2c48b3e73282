"""Operations on cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from ir_sandbox.security_ir.errors import conflict, quota_exceeded
from ir_sandbox.security_ir.model import Parameters, service_model
from ir_sandbox.security_ir.paging import Item
from ir_sandbox.security_ir.records import Case, Change, Edit, Principal
from ir_sandbox.security_ir.state import Caller, State
from ir_sandbox.security_ir.tags import refuse_reserved_keys

_DETECTION = "Detection and Analysis"
_CONTAINMENT = "Containment, Eradication and Recovery"
_POST_INCIDENT = "Post-incident Activities"

# From UpdateCaseStatus in the service model. It does not mention Acknowledged, which only AWS sets. CloseCase closes a
# case in any status.
DOCUMENTED_TRANSITIONS = {
    "Submitted": {_DETECTION},
    "Acknowledged": {_DETECTION},
    _DETECTION: {_CONTAINMENT, _POST_INCIDENT},
    _CONTAINMENT: {_DETECTION, _POST_INCIDENT},
    _POST_INCIDENT: {_CONTAINMENT, _DETECTION},
}

UPDATED = ("Case Updated", "updatedBy")


class CaseOperations:
    """CreateCase, GetCase, ListCases, UpdateCase, UpdateCaseStatus, UpdateResolverType, CloseCase, ListCaseEdits.

    A request that the state of a case forbids is a ConflictException. AWS documents only the list of errors.
    """

    def __init__(self, state: State) -> None:
        """Work on `state`."""
        self._state = state

    def create_case(self, request: Parameters, caller: Caller) -> Parameters:
        """CreateCase: open a case with the status Submitted; ServiceQuotaExceededException above a quota."""
        state = self._state
        state.require_membership()
        tags = request.get("tags", {})
        refuse_reserved_keys(tags)
        self._require_room(request["resolverType"])
        case_id = state.new_digits(10, state.cases)
        now = state.now()
        case = Case(
            case_id=case_id,
            arn=state.arn("case", case_id),
            title=request["title"],
            description=request["description"],
            engagement_type=request["engagementType"],
            resolver_type=request["resolverType"],
            reported_incident_start=request["reportedIncidentStartDate"],
            created=now,
            last_updated=now,
            impacted_accounts=list(dict.fromkeys(request["impactedAccounts"])),
            watchers=_merged([], request["watchers"], _email),
            threat_actor_ips=_merged([], request.get("threatActorIpAddresses", []), _ip),
            impacted_services=list(dict.fromkeys(request.get("impactedServices", []))),
            impacted_regions=_merged([], request.get("impactedAwsRegions", []), _region),
        )
        state.cases[case_id] = case
        state.tags[case.arn] = dict(tags)
        state.changed(
            case, Change.FIELDS, caller.principal, "Case Created", f"Case {case_id} was created.",
            ("Case Created", "createdBy"),
        )  # fmt: skip
        return {"caseId": case_id}

    def _require_room(self, resolver_type: str) -> None:
        settings, cases = self._state.settings, self._state.cases.values()
        active = sum(case.resolver_type == resolver_type and case.status != "Closed" for case in cases)
        quota = settings.active_self_managed_cases if resolver_type == "Self" else settings.active_aws_supported_cases
        if active >= quota:
            kind = "self-managed" if resolver_type == "Self" else "AWS-supported"
            raise quota_exceeded(f"There are {quota} active {kind} cases.", "case", "cases", "L-LOCALCASES")
        if resolver_type == "AWS":
            a_day_ago = self._state.now() - timedelta(days=1)
            new = sum(case.resolver_type == "AWS" and case.created > a_day_ago for case in cases)
            if new >= settings.new_aws_supported_cases_per_day:
                message = f"{new} AWS-supported cases were created within a day."
                raise quota_exceeded(message, "case", "cases", "L-LOCALDAILY")

    def get_case(self, request: Parameters, _caller: Caller) -> Parameters:
        """GetCase: all fields of a case except its id, comments and tags."""
        case = self._state.case(request["caseId"])
        now = self._state.now()
        return {
            "title": case.title,
            "caseArn": case.arn,
            "description": case.description,
            "caseStatus": case.status,
            "engagementType": case.engagement_type,
            "reportedIncidentStartDate": case.reported_incident_start,
            "actualIncidentStartDate": case.actual_incident_start,
            "impactedAwsRegions": case.impacted_regions,
            "threatActorIpAddresses": case.threat_actor_ips,
            "pendingAction": case.pending_action,
            "impactedAccounts": case.impacted_accounts,
            "watchers": case.watchers,
            "createdDate": case.created,
            "lastUpdatedDate": case.last_updated,
            "closureCode": case.closure_code,
            "resolverType": case.resolver_type,
            "impactedServices": case.impacted_services,
            "caseAttachments": [
                {
                    "attachmentId": attachment.attachment_id,
                    "fileName": attachment.file_name,
                    "attachmentStatus": attachment.status(now),
                    "creator": attachment.creator,
                    "createdDate": attachment.created,
                }
                for attachment in reversed(case.attachments.values())
            ],
            "closedDate": case.closed,
            "caseMetadata": case.metadata or None,
        }

    def list_cases(self, request: Parameters, _caller: Caller) -> Parameters:
        """ListCases: newest first, without a filter, as in AWS."""
        self._state.require_membership()
        cases = list(reversed(self._state.cases.values()))
        page, token = self._state.page("ListCases", cases, lambda case: case.case_id, request)
        items = [
            {
                "caseId": case.case_id,
                "lastUpdatedDate": case.last_updated,
                "title": case.title,
                "caseArn": case.arn,
                "engagementType": case.engagement_type,
                "caseStatus": case.status,
                "createdDate": case.created,
                "closedDate": case.closed,
                "resolverType": case.resolver_type,
                "pendingAction": case.pending_action,
            }
            for case in page
        ]
        return {"items": items, "nextToken": token, "total": len(cases)}

    def update_case(self, request: Parameters, caller: Caller) -> Parameters:
        """UpdateCase: set fields, add to lists and delete from lists; ServiceQuotaExceededException above a limit.

        An added item replaces the item with the same key (a watcher's email). Deleting a missing item has no effect.
        """
        case = self._state.open_case(request["caseId"])
        after = _updated_fields(case, request)
        changes = [name for name, value in after.items() if getattr(case, name) != value]
        if changes:
            for name in changes:
                setattr(case, name, after[name])
            fields = ", ".join(name.replace("_", " ") for name in changes)
            self._state.changed(
                case, Change.FIELDS, caller.principal, "Case Updated", f"Changed fields: {fields}.", UPDATED
            )
        return {}

    def update_case_status(self, request: Parameters, caller: Caller) -> Parameters:
        """UpdateCaseStatus: apply a documented transition to a self-managed case; the same status is not a change."""
        case = self._state.open_case(request["caseId"])
        status = request["caseStatus"]
        if case.resolver_type != "Self":
            raise conflict("AWS sets the status of a case that AWS resolves.", "case", case.case_id)
        allowed = DOCUMENTED_TRANSITIONS.get(case.status, set())
        if self._state.settings.status_transitions == "documented" and status not in {*allowed, case.status}:
            raise conflict(
                f"The status cannot change from {case.status} to {status}; allowed: "
                f"{', '.join(sorted(allowed)) or 'no other status'}.",
                "case",
                case.case_id,
            )
        self.set_status(case, status, caller.principal)
        return {"caseStatus": status}

    def set_status(self, case: Case, status: str, principal: Principal) -> None:
        """Set any status but Closed, as AWS's responders can; no change if the case already has it."""
        if case.status != status:
            message = f"Status changed from {case.status} to {status}."
            case.status = status
            self._state.changed(case, Change.STATUS, principal, "Case Status Updated", message, UPDATED)

    def set_pending_action(self, case: Case, pending_action: str, principal: Principal) -> None:
        """Set the pending action, as AWS's responders can; no change if the case already has it."""
        if case.pending_action != pending_action:
            message = f"Pending action changed from {case.pending_action} to {pending_action}."
            case.pending_action = pending_action
            self._state.changed(case, Change.STATUS, principal, "Case Updated", message, UPDATED)

    def update_resolver_type(self, request: Parameters, caller: Caller) -> Parameters:
        """UpdateResolverType: change Self to AWS; the reverse is a ConflictException."""
        case = self._state.open_case(request["caseId"])
        resolver_type = request["resolverType"]
        if resolver_type != case.resolver_type:
            if case.resolver_type == "AWS":
                raise conflict("The resolver type of a case that AWS resolves cannot change.", "case", case.case_id)
            self._require_room(resolver_type)
            case.resolver_type = resolver_type
            self._state.changed(
                case, Change.FIELDS, caller.principal, "Case Updated To Service Managed",
                f"Resolver type changed from Self to {resolver_type}.", UPDATED,
            )  # fmt: skip
        return {"caseId": case.case_id, "caseStatus": case.status, "resolverType": case.resolver_type}

    def close_case(self, request: Parameters, caller: Caller) -> Parameters:
        """CloseCase: close a case permanently; closing it again is a ConflictException."""
        case = self._state.open_case(request["caseId"])
        self.close(case, caller.principal, None)
        return {"caseStatus": case.status, "closedDate": case.closed}

    def close(self, case: Case, principal: Principal, closure_code: str | None) -> None:
        """Close an open case; AWS's responders can add a closure code."""
        case.status = "Closed"
        case.pending_action = "None"
        case.closed = self._state.now()
        case.closure_code = closure_code
        message = f"Case {case.case_id} was closed."
        self._state.changed(case, Change.STATUS, principal, "Case Closed", message, ("Case Closed", "updatedBy"))

    def list_case_edits(self, request: Parameters, _caller: Caller) -> Parameters:
        """ListCaseEdits: newest first."""
        case = self._state.case(request["caseId"])
        numbered: list[tuple[int, Edit]] = list(reversed(list(enumerate(case.edits))))
        page, token = self._state.page("ListCaseEdits", numbered, lambda entry: str(entry[0]), request)
        items = [
            {"eventTimestamp": edit.at, "principal": edit.principal, "action": edit.action, "message": edit.message}
            for _, edit in page
        ]
        return {"items": items, "nextToken": token, "total": len(numbered)}


def _updated_fields(case: Case, request: Parameters) -> dict[str, object]:
    """Return a case's fields after UpdateCase; raises ApiError if a list becomes too long."""
    simple = {
        "title": request.get("title", case.title),
        "description": request.get("description", case.description),
        "engagement_type": request.get("engagementType", case.engagement_type),
        "reported_incident_start": request.get("reportedIncidentStartDate", case.reported_incident_start),
        "actual_incident_start": request.get("actualIncidentStartDate", case.actual_incident_start),
        "metadata": _merged(case.metadata, request.get("caseMetadata", []), lambda entry: entry["key"]),
    }
    _check_limit(case, "caseMetadata", simple["metadata"])
    return {
        **simple,
        "watchers": _updated_list(case, case.watchers, request, "watchers", _email),
        "threat_actor_ips": _updated_list(case, case.threat_actor_ips, request, "threatActorIpAddresses", _ip),
        "impacted_services": _updated_list(case, case.impacted_services, request, "impactedServices", str),
        "impacted_regions": _updated_list(case, case.impacted_regions, request, "impactedAwsRegions", _region),
        "impacted_accounts": _updated_list(case, case.impacted_accounts, request, "impactedAccounts", str),
    }


def _updated_list(
    case: Case, present: Sequence[Item], request: Parameters, member: str, key: Callable[[Item], object]
) -> list[Item]:
    deleted = {key(item) for item in request.get(f"{member}ToDelete", [])}
    kept = [item for item in present if key(item) not in deleted]
    updated = _merged(kept, request.get(f"{member}ToAdd", []), key)
    _check_limit(case, member, updated)
    return updated


def _check_limit(case: Case, member: str, items: Sequence[object]) -> None:
    """Limit a list to its maximum size in GetCase's response; raises ApiError."""
    limit = service_model().shape_for("GetCaseResponse").members[member].metadata["max"]  # type: ignore[attr-defined]
    if len(items) > limit:
        raise quota_exceeded(
            f"A case has at most {limit} {member}; this request would make it {len(items)}.",
            "case",
            case.case_id,
            member,
        )


def _merged(present: Sequence[Item], added: Sequence[Item], key: Callable[[Item], object]) -> list[Item]:
    """Add items; an item with an existing key replaces the existing item."""
    by_key = {key(item): item for item in present}
    by_key.update((key(item), item) for item in added)
    return list(by_key.values())


def _email(watcher: Parameters) -> object:
    return watcher["email"].lower()


def _ip(threat_actor: Parameters) -> object:
    return threat_actor["ipAddress"]


def _region(region: Parameters) -> object:
    return region["region"]
