"""The Security IR service as a Python object: the API's operations, and actions that only AWS can take."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from ir_sandbox.security_ir.attachments import AttachmentOperations
from ir_sandbox.security_ir.calls import CallLog
from ir_sandbox.security_ir.cases import CaseOperations
from ir_sandbox.security_ir.clock import Clock
from ir_sandbox.security_ir.comments import CommentOperations
from ir_sandbox.security_ir.errors import conflict, not_found
from ir_sandbox.security_ir.events import EventDelivery, Publish
from ir_sandbox.security_ir.faults import Faults
from ir_sandbox.security_ir.investigations import InvestigationOperations
from ir_sandbox.security_ir.memberships import MembershipOperations
from ir_sandbox.security_ir.model import Parameters, service_model
from ir_sandbox.security_ir.protocol import check_answer, check_parameters
from ir_sandbox.security_ir.records import AWS_RESPONDER, SERVICE, Case, Investigation, Membership, Principal
from ir_sandbox.security_ir.settings import Settings
from ir_sandbox.security_ir.shapes import require
from ir_sandbox.security_ir.state import Caller, State
from ir_sandbox.security_ir.tags import TagOperations

Handler = Callable[[Parameters, Caller], Parameters]

DEFAULT_ACCOUNT_ID = "000000000000"
DEFAULT_RESPONSE_TEAM: tuple[Mapping[str, str], ...] = (
    {"name": "Jane Smith", "jobTitle": "Incident Commander", "email": "jane.smith@example.com"},
    {"name": "John Doe", "jobTitle": "Security Engineer", "email": "john.doe@example.com"},
)


class SecurityIrService:
    """AWS Security Incident Response in memory. Thread safe."""

    def __init__(
        self,
        *,
        publish: Publish | None = None,
        clock: Clock = lambda: datetime.now(UTC),
        seed: int | None = None,
        account_id: str = DEFAULT_ACCOUNT_ID,
        region: str = "us-east-1",
        response_team: Sequence[Mapping[str, str]] | None = DEFAULT_RESPONSE_TEAM,
        principals: Mapping[str, str] | None = None,
        default_principal: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start with one active membership, or with none.

        Args:
            publish: Receives the native events from a separate thread; without it, events are only recorded.
            clock: Returns the current time, aware.
            seed: Makes ids repeatable.
            account_id: The customer's account.
            region: The service's Region.
            response_team: The membership's response team (items `name`, `jobTitle`, `email`); None for no membership.
            principals: The callers (ARNs or account ids) by access key.
            default_principal: The caller for all other access keys; by default the account's root.
            sleep: Waits for the latency of a fault; a simulator moves its clock instead.
        """
        self.clock = clock
        self.sleep = sleep
        self.events = EventDelivery(publish)
        self.faults = Faults()
        self.calls = CallLog()
        self.principals: dict[str, str] = dict(principals or {})
        self.default_principal = default_principal or f"arn:aws:iam::{account_id}:root"
        self._state = State(account_id, region, clock, seed, self.events)
        self._cases = CaseOperations(self._state)
        self._memberships = MembershipOperations(self._state)
        self._investigations = InvestigationOperations(self._state)
        self.attachments = AttachmentOperations(self._state)
        self._handlers = self._table(CommentOperations(self._state), TagOperations(self._state))
        self._answered: dict[tuple[str, str], tuple[Parameters, Parameters]] = {}
        if response_team is not None:
            self._create_first_membership(response_team)

    def _table(self, comments: CommentOperations, tags: TagOperations) -> dict[str, Handler]:
        return {
            "BatchGetMemberAccountDetails": self._memberships.batch_get_member_account_details,
            "CancelMembership": self._memberships.cancel_membership,
            "CloseCase": self._cases.close_case,
            "CreateCase": self._cases.create_case,
            "CreateCaseComment": comments.create_case_comment,
            "CreateMembership": self._memberships.create_membership,
            "GetCase": self._cases.get_case,
            "GetCaseAttachmentDownloadUrl": self.attachments.get_case_attachment_download_url,
            "GetCaseAttachmentUploadUrl": self.attachments.get_case_attachment_upload_url,
            "GetFindingMetrics": self._memberships.get_finding_metrics,
            "GetMembership": self._memberships.get_membership,
            "ListCaseEdits": self._cases.list_case_edits,
            "ListCases": self._cases.list_cases,
            "ListComments": comments.list_comments,
            "ListInvestigations": self._investigations.list_investigations,
            "ListMemberships": self._memberships.list_memberships,
            "ListTagsForResource": tags.list_tags_for_resource,
            "SendFeedback": self._investigations.send_feedback,
            "TagResource": tags.tag_resource,
            "UntagResource": tags.untag_resource,
            "UpdateCase": self._cases.update_case,
            "UpdateCaseComment": comments.update_case_comment,
            "UpdateCaseStatus": self._cases.update_case_status,
            "UpdateMembership": self._memberships.update_membership,
            "UpdateResolverType": self._cases.update_resolver_type,
        }

    def _create_first_membership(self, response_team: Sequence[Mapping[str, str]]) -> None:
        """Create the initial membership, without an event."""
        parameters = {
            "membershipName": "Local membership",
            "incidentResponseTeam": [dict(person) for person in response_team],
        }
        self._memberships.add(check_parameters(service_model().operation_model("CreateMembership"), parameters))

    # The API

    def principal(self, access_key: str | None) -> Principal:
        """Return the caller of an access key."""
        return Principal(self.principals.get(access_key or "", self.default_principal))

    def call(
        self,
        operation: str,
        parameters: Mapping[str, object],
        *,
        as_principal: str | None = None,
        base_url: str = "http://127.0.0.1",
    ) -> Parameters:
        """Call an operation of the API within the process, without faults and call log, which belong to HTTP.

        Args:
            operation: The operation's name.
            parameters: The parameters, as in boto3.
            as_principal: The caller; by default the default principal.
            base_url: The start of presigned URLs.

        Returns:
            The response, as in boto3.

        Raises:
            ApiError: The API rejects the call.
            FaultInAnswerError: This service has a bug.
        """
        model = service_model().operation_model(operation)
        checked = check_parameters(model, parameters)
        return self.perform(operation, checked, Caller(Principal(as_principal or self.default_principal), base_url))

    def perform(self, operation: str, parameters: Parameters, caller: Caller) -> Parameters:
        """Call an operation with validated parameters; raises ApiError.

        Repeating a `clientToken` with the same parameters returns the first response; with other parameters it is a
        ConflictException.
        """
        model = service_model().operation_model(operation)
        request = dict(parameters)
        token = request.pop("clientToken", None)
        with self._state.lock:
            if token is not None and (earlier := self._answered.get((operation, token))) is not None:
                if earlier[0] != request:
                    message = "The clientToken was used with other parameters."
                    raise conflict(message, "clientToken", token)
                return earlier[1]
            answer = check_answer(model, self._handlers[operation](request, caller))
            if token is not None:
                self._answered[operation, token] = (request, answer)
            return answer

    def configure(self, settings: Settings) -> None:
        """Replace all settings."""
        with self._state.lock:
            self._state.settings = settings.model_copy()

    @property
    def settings(self) -> Settings:
        """A copy of the settings; change them with `configure`."""
        with self._state.lock:
            return self._state.settings.model_copy()

    # Actions of AWS's responders and of the service

    def create_case_as(self, parameters: Mapping[str, object], creator: str = SERVICE) -> str:
        """Create a case with CreateCase's parameters, by default as the service does for a finding; return its id."""
        return str(self.call("CreateCase", parameters, as_principal=creator)["caseId"])

    def add_comment_as(self, case_id: str, creator: str = AWS_RESPONDER, body: str = "") -> str:
        """Add a comment as `creator` and return its id."""
        answer = self.call("CreateCaseComment", {"caseId": case_id, "body": body}, as_principal=creator)
        return str(answer["commentId"])

    def update_comment_as(self, case_id: str, comment_id: str, creator: str = AWS_RESPONDER, body: str = "") -> None:
        """Edit a comment as `creator`."""
        parameters = {"caseId": case_id, "commentId": comment_id, "body": body}
        self.call("UpdateCaseComment", parameters, as_principal=creator)

    def set_status_as(self, case_id: str, status: str, creator: str = AWS_RESPONDER) -> None:
        """Set any status but Closed; on a case that AWS resolves, only AWS's responders can do this."""
        require("CaseStatus", status)
        if status == "Closed":
            raise ValueError("the status Closed cannot be set; use close_case_as")
        with self._state.lock:
            self._cases.set_status(self._state.open_case(case_id), status, Principal(creator))

    def set_pending_action_as(self, case_id: str, pending_action: str, creator: str = AWS_RESPONDER) -> None:
        """Set the pending action: Customer or None."""
        require("PendingAction", pending_action)
        with self._state.lock:
            self._cases.set_pending_action(self._state.open_case(case_id), pending_action, Principal(creator))

    def close_case_as(self, case_id: str, closure_code: str | None = None, creator: str = AWS_RESPONDER) -> None:
        """Close a case, optionally with a closure code."""
        if closure_code is not None:
            require("ClosureCode", closure_code)
        with self._state.lock:
            self._cases.close(self._state.open_case(case_id), Principal(creator), closure_code)

    def add_attachment_as(
        self,
        case_id: str,
        creator: str = AWS_RESPONDER,
        file_name: str = "report.txt",
        content: bytes = b"",
        content_type: str = "binary/octet-stream",
    ) -> str:
        """Attach a file as `creator` and return its attachment id."""
        require("FileName", file_name)
        return self.attachments.attach(
            case_id, Principal(creator), file_name, io.BytesIO(content), len(content), content_type
        )

    def add_investigation(self, case_id: str, action_type: str, title: str, content: str, status: str) -> str:
        """Add an investigation of the service's agent and return its id."""
        with self._state.lock:
            case = self._state.case(case_id)
            investigation_id = self._state.new_name("inv-")
            case.investigations[investigation_id] = Investigation(
                investigation_id, action_type, title, content, status, self._state.now()
            )
            return investigation_id

    def set_response_team(self, response_team: Sequence[Mapping[str, str]]) -> None:
        """Replace the response team of the active membership."""
        membership_id = self._active_membership().membership_id
        team = [dict(person) for person in response_team]
        self.call("UpdateMembership", {"membershipId": membership_id, "incidentResponseTeam": team})

    def set_organization(self, account_ids: Sequence[str]) -> None:
        """Set the accounts that the active membership covers, in addition to its own."""
        with self._state.lock:
            self._active_membership().organization_accounts = {self._state.account_id, *account_ids}

    def set_finding_metrics(self, **metrics: int) -> None:
        """Set the values that GetFindingMetrics returns for the active membership."""
        with self._state.lock:
            self._active_membership().finding_metrics = metrics

    def terminate_membership(self, membership_id: str) -> None:
        """End a membership, as AWS does some time after its cancellation."""
        with self._state.lock:
            if membership_id not in self._state.memberships:
                raise not_found("membership", membership_id)
            self._memberships.terminate(self._state.memberships[membership_id])

    def snapshot(self) -> Parameters:
        """Return the service's data for inspection, as plain values, times and paths."""
        with self._state.lock:
            return {
                "cases": {case_id: self._case_snapshot(case) for case_id, case in self._state.cases.items()},
                "memberships": {key: asdict(membership) for key, membership in self._state.memberships.items()},
            }

    def _case_snapshot(self, case: Case) -> Parameters:
        now = self._state.now()
        snapshot = asdict(case)
        snapshot["tags"] = dict(self._state.tags[case.arn])
        for attachment_id, attachment in case.attachments.items():
            snapshot["attachments"][attachment_id]["status"] = attachment.status(now)
        return snapshot

    def _active_membership(self) -> Membership:
        with self._state.lock:
            self._state.require_membership()
            return next(item for item in self._state.memberships.values() if item.status == "Active")

    def close(self) -> None:
        """Stop the event thread and delete all files."""
        self.events.close()
        self.attachments.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the service."""
        self.close()
