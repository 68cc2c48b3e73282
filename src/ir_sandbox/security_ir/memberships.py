"""Operations on memberships."""

from __future__ import annotations

from datetime import datetime

from ir_sandbox.security_ir.errors import conflict, not_found, validation
from ir_sandbox.security_ir.model import Parameters, service_model
from ir_sandbox.security_ir.records import Membership
from ir_sandbox.security_ir.state import Caller, State
from ir_sandbox.security_ir.tags import refuse_reserved_keys


class MembershipOperations:
    """CreateMembership, GetMembership, ListMemberships, UpdateMembership, CancelMembership and dependent operations."""

    def __init__(self, state: State) -> None:
        """Work on `state`."""
        self._state = state

    def create_membership(self, request: Parameters, _caller: Caller) -> Parameters:
        """CreateMembership: ConflictException if the account has a membership that is not terminated."""
        state = self._state
        for membership in state.memberships.values():
            if membership.status != "Terminated":
                raise conflict("The account has a membership.", "membership", membership.membership_id)
        membership = self.add(request)
        self._publish_event("Membership Created", membership)
        return {"membershipId": membership.membership_id}

    def add(self, request: Parameters) -> Membership:
        """Add an active membership with the parameters of CreateMembership, without an event."""
        state = self._state
        tags = request.get("tags", {})
        refuse_reserved_keys(tags)
        membership_id = state.new_name("m-")
        membership = Membership(
            membership_id=membership_id,
            arn=state.arn("membership", membership_id),
            name=request["membershipName"],
            activated=state.now(),
            incident_response_team=request["incidentResponseTeam"],
            opt_in_features=request.get("optInFeatures", []),
            cover_entire_organization=request.get("coverEntireOrganization", False),
            organization_accounts={state.account_id},
        )
        state.memberships[membership_id] = membership
        state.tags[membership.arn] = dict(tags)
        return membership

    def get_membership(self, request: Parameters, _caller: Caller) -> Parameters:
        """GetMembership: all fields, including the response team."""
        membership = self._membership(request)
        return {
            "membershipId": membership.membership_id,
            "accountId": self._state.account_id,
            "region": self._state.region,
            "membershipName": membership.name,
            "membershipArn": membership.arn,
            "membershipStatus": membership.status,
            "membershipActivationTimestamp": membership.activated,
            "membershipDeactivationTimestamp": membership.deactivated,
            "customerType": "Organization" if len(membership.organization_accounts) > 1 else "Standalone",
            "numberOfAccountsCovered": len(membership.organization_accounts),
            "incidentResponseTeam": membership.incident_response_team,
            "optInFeatures": membership.opt_in_features or None,
            "membershipAccountsConfigurations": {
                "coverEntireOrganization": membership.cover_entire_organization,
                "organizationalUnits": membership.organizational_units,
            },
        }

    def list_memberships(self, request: Parameters, _caller: Caller) -> Parameters:
        """ListMemberships: newest first, including terminated ones."""
        memberships = list(reversed(self._state.memberships.values()))
        page, token = self._state.page("ListMemberships", memberships, lambda item: item.membership_id, request)
        items = [
            {
                "membershipId": membership.membership_id,
                "accountId": self._state.account_id,
                "region": self._state.region,
                "membershipArn": membership.arn,
                "membershipStatus": membership.status,
            }
            for membership in page
        ]
        return {"items": items, "nextToken": token}

    def update_membership(self, request: Parameters, _caller: Caller) -> Parameters:
        """UpdateMembership: a cancelled one accepts only `undoMembershipCancellation`, a terminated one nothing."""
        membership = self._membership(request)
        undo = request.get("undoMembershipCancellation", False)
        if undo and membership.status != "Cancelled":
            raise conflict("The membership is not cancelled.", "membership", membership.membership_id)
        if not undo and membership.status != "Active":
            raise conflict("The membership is not active.", "membership", membership.membership_id)
        if undo:
            membership.status, membership.deactivated = "Active", None
        membership.name = request.get("membershipName", membership.name)
        membership.incident_response_team = request.get("incidentResponseTeam", membership.incident_response_team)
        membership.opt_in_features = request.get("optInFeatures", membership.opt_in_features)
        accounts = request.get("membershipAccountsConfigurationsUpdate", {})
        membership.cover_entire_organization = accounts.get(
            "coverEntireOrganization", membership.cover_entire_organization
        )
        removed = accounts.get("organizationalUnitsToRemove", [])
        kept = [unit for unit in membership.organizational_units if unit not in removed]
        membership.organizational_units = list(dict.fromkeys(kept + accounts.get("organizationalUnitsToAdd", [])))
        self._publish_event("Membership Updated", membership)
        return {}

    def cancel_membership(self, request: Parameters, _caller: Caller) -> Parameters:
        """CancelMembership: cases are inaccessible until the cancellation is undone or a new membership exists."""
        membership = self._membership(request)
        if membership.status == "Terminated":
            raise conflict("The membership is terminated.", "membership", membership.membership_id)
        if membership.status == "Active":
            membership.status, membership.deactivated = "Cancelled", self._state.now()
            self._publish_event("Membership Cancelled", membership)
        return {"membershipId": membership.membership_id}

    def terminate(self, membership: Membership) -> None:
        """Terminate a membership, as AWS does some time after its cancellation."""
        membership.status = "Terminated"
        membership.deactivated = membership.deactivated or self._state.now()
        self._publish_event("Membership Terminated", membership)

    def batch_get_member_account_details(self, request: Parameters, _caller: Caller) -> Parameters:
        """BatchGetMemberAccountDetails: whether the membership covers each account."""
        membership = self._membership(request)
        items = []
        for account_id in dict.fromkeys(request["accountIds"]):
            covered = account_id in membership.organization_accounts
            items.append(
                {
                    "accountId": account_id,
                    "relationshipStatus": "Associated" if covered else "Unassociated",
                    "relationshipType": "Organization" if covered else "Unrelated",
                }
            )
        return {"items": items, "errors": []}

    def get_finding_metrics(self, request: Parameters, _caller: Caller) -> Parameters:
        """GetFindingMetrics: the metrics that were set on the membership (default 0), for a day-aligned window."""
        membership = self._membership(request)
        for name in ("startDate", "endDate"):
            if not _is_midnight(request[name]):
                raise validation("The window is not day-aligned.", [(name, "Member must be midnight UTC")])
        if request["startDate"] > request["endDate"]:
            raise validation("The window ends before it starts.", [("endDate", "Member must not be before startDate")])
        names = service_model().shape_for("GetFindingMetricsResponse").members  # type: ignore[attr-defined]
        return {name: membership.finding_metrics.get(name, 0) for name in names}

    def _membership(self, request: Parameters) -> Membership:
        membership_id = request["membershipId"]
        if membership_id not in self._state.memberships:
            raise not_found("membership", membership_id)
        return self._state.memberships[membership_id]

    def _publish_event(self, detail_type: str, membership: Membership) -> None:
        self._state.publish_event(detail_type, membership.arn, {"membershipId": membership.membership_id})


def _is_midnight(moment: datetime) -> bool:
    return moment.timestamp() % 86400 == 0
