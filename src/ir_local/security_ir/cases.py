"""Operations on cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ir_local.security_ir.errors import conflict, quota_exceeded
from ir_local.security_ir.model import Parameters, service_model
from ir_local.security_ir.paging import Item
from ir_local.security_ir.records import Case, Change, Edit, Principal
from ir_local.security_ir.state import Caller, State
from ir_local.security_ir.tags import refuse_reserved_keys

_DETECTION = "Detection and Analysis"
_CONTAINMENT = "Containment, Eradication and Recovery"
_POST_INCIDENT = "Post-incident Activities"

# From the documentation of UpdateCaseStatus in the service model, which says nothing of Acknowledged: AWS sets that.
# Any status may be closed, by CloseCase.
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

    What the state of a case forbids is a ConflictException (AWS documents no more than the list of errors).
    """

    def __init__(self, state: State) -> None:
        """Work on `state`."""
        self._state = state

    def create_case(self, request: Parameters, caller: Caller) -> Parameters:
        """CreateCase: open a case, status Submitted."""
        state = self._state
        state.require_membership()
        tags = request.get("tags", {})
        refuse_reserved_keys(tags)
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

    def get_case(self, request: Parameters, _caller: Caller) -> Parameters:
        """GetCase: everything about a case except its id, comments and tags."""
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
        """ListCases: newest first; AWS offers no filter."""
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
        """UpdateCase: set fields, add to and delete from lists; raises ServiceQuotaExceededException beyond a limit.

        Additions replace the item with the same key (a watcher's email). What deletions do not find is ignored.
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
        """UpdateCaseStatus: move a self-managed case along the documented transitions; the same status is no change."""
        case = self._state.open_case(request["caseId"])
        status = request["caseStatus"]
        if case.resolver_type != "Self":
            raise conflict("The status of a case that AWS resolves is set by AWS.", "case", case.case_id)
        allowed = DOCUMENTED_TRANSITIONS.get(case.status, set())
        if self._state.settings.status_transitions == "documented" and status not in {*allowed, case.status}:
            raise conflict(
                f"The status cannot go from {case.status} to {status}; it can go to: "
                f"{', '.join(sorted(allowed)) or 'no other'}.",
                "case",
                case.case_id,
            )
        self.set_status(case, status, caller.principal)
        return {"caseStatus": status}

    def set_status(self, case: Case, status: str, principal: Principal) -> None:
        """Set any status but Closed, as AWS's responders may; nothing happens if the case has it."""
        if case.status != status:
            message = f"Status changed from {case.status} to {status}."
            case.status = status
            self._state.changed(case, Change.STATUS, principal, "Case Status Updated", message, UPDATED)

    def set_pending_action(self, case: Case, pending_action: str, principal: Principal) -> None:
        """Set whom the case waits for, as AWS's responders may; nothing happens if it does already."""
        if case.pending_action != pending_action:
            message = f"Pending action changed from {case.pending_action} to {pending_action}."
            case.pending_action = pending_action
            self._state.changed(case, Change.STATUS, principal, "Case Updated", message, UPDATED)

    def update_resolver_type(self, request: Parameters, caller: Caller) -> Parameters:
        """UpdateResolverType: from Self to AWS, never back."""
        case = self._state.open_case(request["caseId"])
        resolver_type = request["resolverType"]
        if resolver_type != case.resolver_type:
            if case.resolver_type == "AWS":
                raise conflict("A case that AWS resolves stays so.", "case", case.case_id)
            case.resolver_type = resolver_type
            self._state.changed(
                case, Change.FIELDS, caller.principal, "Case Updated To Service Managed",
                f"Resolver type changed from Self to {resolver_type}.", UPDATED,
            )  # fmt: skip
        return {"caseId": case.case_id, "caseStatus": case.status, "resolverType": case.resolver_type}

    def close_case(self, request: Parameters, caller: Caller) -> Parameters:
        """CloseCase: for good; a second time is a ConflictException."""
        case = self._state.open_case(request["caseId"])
        self.close(case, caller.principal, None)
        return {"caseStatus": case.status, "closedDate": case.closed}

    def close(self, case: Case, principal: Principal, closure_code: str | None) -> None:
        """Close an open case, with a closure code as AWS's responders may give."""
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
    """Work out what the fields of a case would be after UpdateCase; raises ApiError if a list grew too long."""
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
    """Hold a case's list to the size that GetCase's answer may have."""
    limit = service_model().shape_for("GetCaseResponse").members[member].metadata["max"]  # type: ignore[attr-defined]
    if len(items) > limit:
        raise quota_exceeded(
            f"A case has at most {limit} of {member}; it would have {len(items)}.", "case", case.case_id, member
        )


def _merged(present: Sequence[Item], added: Sequence[Item], key: Callable[[Item], object]) -> list[Item]:
    """Add items; one whose key is present takes that place."""
    by_key = {key(item): item for item in present}
    by_key.update((key(item), item) for item in added)
    return list(by_key.values())


def _email(watcher: Parameters) -> object:
    return watcher["email"].lower()


def _ip(threat_actor: Parameters) -> object:
    return threat_actor["ipAddress"]


def _region(region: Parameters) -> object:
    return region["region"]
