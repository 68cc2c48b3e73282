"""AWS Security Incident Response, as the rest of the package sees it: typed answers, lists paged to their end.

Every function raises RefusedError (certain; `code` is the API's error name), RetryLaterError (throttled) or
UncertainError (no answer, or a server error).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pydantic import BaseModel, ValidationError

from ir_router import aws
from ir_router.cases.models import Case, CaseEdit, CaseRow, Comment, Membership, Person
from ir_router.errors import RefusedError, RetryLaterError, UncertainError

if TYPE_CHECKING:
    from mypy_boto3_security_ir import SecurityIncidentResponseClient

_Item = TypeVar("_Item", bound=BaseModel)

PAGE_SIZE = 25
SEVERITY_TAG = "severity"
_SERVICE = "AWS Security Incident Response"
_THROTTLED_SECONDS = 5.0


@contextmanager
def _calling(operation: str) -> Iterator[SecurityIncidentResponseClient]:
    try:
        yield aws.client("security-ir")
    except ClientError as error:
        answer = error.response
        code = answer.get("Error", {}).get("Code", "Unknown")
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "ThrottlingException" or status == 429:
            raise RetryLaterError(_SERVICE, operation, code, _retry_after(answer)) from error
        if status >= 500:
            raise UncertainError(_SERVICE, operation, code) from error
        raise RefusedError(_SERVICE, operation, code) from error
    except ParamValidationError:
        # Without its cause: botocore's message holds what was to be sent.
        raise RefusedError(_SERVICE, operation, "ParamValidationError") from None
    except (ValidationError, KeyError):
        # botocore makes an empty answer of one that is not JSON.
        raise UncertainError(_SERVICE, operation, "an unexpected answer") from None
    except BotoCoreError as error:
        # No answer, or one that cannot be read.
        raise UncertainError(_SERVICE, operation, type(error).__name__) from error


def _retry_after(answer: Any) -> float:
    try:
        return float(answer["retryAfterSeconds"])
    except (KeyError, TypeError, ValueError):
        return _THROTTLED_SECONDS


def list_cases(token: str | None = None) -> tuple[list[CaseRow], str | None]:
    """One page of ListCases (at most 25 rows) and the token of the next, or None."""
    with _calling("ListCases") as client:
        answer = client.list_cases(maxResults=PAGE_SIZE, **({"nextToken": token} if token else {}))
        rows = [CaseRow.model_validate(item) for item in answer.get("items", [])]
    return rows, answer.get("nextToken") or None


def get_case(case_id: str) -> Case:
    """GetCase."""
    with _calling("GetCase") as client:
        return Case.model_validate({**client.get_case(caseId=case_id), "caseId": case_id})


def tags(arn: str) -> dict[str, str]:
    """The tags of a case (ListTagsForResource), by its ARN."""
    with _calling("ListTagsForResource") as client:
        return dict(client.list_tags_for_resource(resourceArn=arn)["tags"])


def severity(case: Case) -> str:
    """The severity of a case, which AWS does not know: a tag; `Not set` without one."""
    return tags(case.case_arn).get(SEVERITY_TAG, "Not set")


def tag(arn: str, values: dict[str, str]) -> None:
    """Set tags of a case (TagResource)."""
    with _calling("TagResource") as client:
        client.tag_resource(resourceArn=arn, tags=values)


def comments(case_id: str) -> list[Comment]:
    """All comments of a case, oldest first (the API promises no order)."""

    def page(client: SecurityIncidentResponseClient, more: dict[str, str]) -> Any:
        return client.list_comments(caseId=case_id, maxResults=PAGE_SIZE, **more)

    return _oldest_first(_all("ListComments", Comment, page), lambda comment: comment.created_date)


def _oldest_first(items: list[_Item], at: Callable[[_Item], datetime | None]) -> list[_Item]:
    """Sorted by time; those of one moment keep the order of the list, read from its oldest end (seen newest first)."""

    def seconds(item: _Item) -> float:
        moment = at(item)
        return moment.timestamp() if moment else 0.0

    if items and seconds(items[0]) >= seconds(items[-1]):
        items.reverse()
    return sorted(items, key=seconds)


def edits(case_id: str) -> list[CaseEdit]:
    """The case's history (ListCaseEdits), oldest first."""

    def page(client: SecurityIncidentResponseClient, more: dict[str, str]) -> Any:
        return client.list_case_edits(caseId=case_id, maxResults=PAGE_SIZE, **more)

    return _oldest_first(_all("ListCaseEdits", CaseEdit, page), lambda edit: edit.event_timestamp)


def response_team() -> list[Person]:
    """The incident response team of every active membership; empty without one."""

    def page(client: SecurityIncidentResponseClient, more: dict[str, str]) -> Any:
        return client.list_memberships(maxResults=PAGE_SIZE, **more)

    team: list[Person] = []
    for membership in _all("ListMemberships", Membership, page):
        if membership.membership_status not in (None, "Active"):
            continue
        with _calling("GetMembership") as client:
            answer = client.get_membership(membershipId=membership.membership_id)
            team += [Person.model_validate(member) for member in answer.get("incidentResponseTeam", [])]
    return team


def create_case(**fields: Any) -> str:
    """CreateCase with the API's own fields (`clientToken`, `resolverType`, `title`, ...); the new case's id."""
    with _calling("CreateCase") as client:
        return str(client.create_case(**fields)["caseId"])


def update_case(case_id: str, **fields: Any) -> None:
    """UpdateCase with the API's own fields."""
    with _calling("UpdateCase") as client:
        client.update_case(caseId=case_id, **fields)


def update_status(case_id: str, case_status: str) -> None:
    """UpdateCaseStatus; self-managed cases only."""
    with _calling("UpdateCaseStatus") as client:
        client.update_case_status(caseId=case_id, caseStatus=case_status)  # type: ignore[arg-type]


def close_case(case_id: str) -> None:
    """CloseCase; there is no way back."""
    with _calling("CloseCase") as client:
        client.close_case(caseId=case_id)


def create_comment(case_id: str, body: str, client_token: str) -> str:
    """CreateCaseComment; the comment's id. The same `client_token` never makes a second comment."""
    with _calling("CreateCaseComment") as client:
        return str(client.create_case_comment(caseId=case_id, body=body, clientToken=client_token)["commentId"])


def update_comment(case_id: str, comment_id: str, body: str) -> None:
    """UpdateCaseComment."""
    with _calling("UpdateCaseComment") as client:
        client.update_case_comment(caseId=case_id, commentId=comment_id, body=body)


def upload_url(case_id: str, file_name: str, size: int, client_token: str) -> str:
    """Where to PUT the bytes of a new attachment (GetCaseAttachmentUploadUrl); `size` in bytes."""
    with _calling("GetCaseAttachmentUploadUrl") as client:
        answer = client.get_case_attachment_upload_url(
            caseId=case_id, fileName=file_name, contentLength=size, clientToken=client_token
        )
    return str(answer["attachmentPresignedUrl"])


def download_url(case_id: str, attachment_id: str) -> str:
    """Where to GET the bytes of an attachment (GetCaseAttachmentDownloadUrl)."""
    with _calling("GetCaseAttachmentDownloadUrl") as client:
        answer = client.get_case_attachment_download_url(caseId=case_id, attachmentId=attachment_id)
    return str(answer["attachmentPresignedUrl"])


def _all(
    operation: str, model: type[_Item], page: Callable[[SecurityIncidentResponseClient, dict[str, str]], Any]
) -> list[_Item]:
    """The items of all pages."""
    items: list[_Item] = []
    more: dict[str, str] = {}
    while True:
        with _calling(operation) as client:
            answer = page(client, more)
            items += [model.model_validate(item) for item in answer.get("items", [])]
        if not answer.get("nextToken"):
            return items
        more = {"nextToken": answer["nextToken"]}
