"""AWS Security Incident Response for the rest of the package, with typed answers and complete lists.

Every function raises RefusedError (`code` is the API's error name), RetryLaterError (throttled) or UncertainError (no
answer, or a server error).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pydantic import BaseModel, ValidationError

from ir_router import aws, denials
from ir_router.cases.followed_fields import SEVERITY
from ir_router.cases.models import Case, CaseEdit, CaseRow, Comment, Investigation, Membership, Person
from ir_router.deadline import Deadline
from ir_router.errors import RefusedError, RetryLaterError, UncertainError

if TYPE_CHECKING:
    from mypy_boto3_security_ir import SecurityIncidentResponseClient

_Item = TypeVar("_Item", bound=BaseModel)
Usefulness = Literal["USEFUL", "NOT_USEFUL"]

PAGE_SIZE = 25
_SERVICE = "AWS Security Incident Response"
_THROTTLED_SECONDS = 5.0
_LONGEST_THROTTLED_SECONDS = 900.0
# For one page of a list. If AWS asks for a longer wait, the run ends and the next run continues.
_TRIES = 4
_LONGEST_WAIT_SECONDS = 20.0
# A value of the request in a message of AWS. The name of a field follows "at".
_VALUE = re.compile(r"(?<!\bat )(?:\"[^\"]*\"|'[^']*')")
# People cannot read a regular expression, which may contain quotation marks itself.
_EXPRESSION = re.compile(r"must satisfy regular expression pattern.*", re.IGNORECASE)
_DETAIL_LENGTH = 500
# Codes of any service (https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html). The request had no
# effect, and a request with another time or with new credentials can succeed.
_FOR_NOW = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


@contextmanager
def _calling(operation: str) -> Iterator[SecurityIncidentResponseClient]:
    try:
        yield aws.client("security-ir")
    except ClientError as error:
        answer = error.response
        code = answer.get("Error", {}).get("Code", "Unknown")
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _FOR_NOW or status == 429:
            raise RetryLaterError(_SERVICE, operation, code, _retry_after(answer)) from error
        if status >= 500:
            raise UncertainError(_SERVICE, operation, code) from error
        raise RefusedError(_SERVICE, operation, code, _cause(code, answer)) from error
    except ParamValidationError:
        # Without its cause: botocore's message contains the request.
        raise RefusedError(_SERVICE, operation, "ParamValidationError") from None
    except (ValidationError, KeyError):
        # botocore turns an answer that is not JSON into an empty one.
        raise UncertainError(_SERVICE, operation, "an unexpected answer") from None
    except BotoCoreError as error:
        # No answer, or an unreadable one.
        raise UncertainError(_SERVICE, operation, type(error).__name__) from error


def _cause(code: str, answer: Any) -> str:
    """Return the policy of a denied call, or the fields of a ValidationException with AWS's reasons.

    Values of the request are left out.
    https://docs.aws.amazon.com/security-ir/latest/APIReference/API_ValidationExceptionField.html
    """
    message = str(answer.get("message") or answer.get("Error", {}).get("Message") or "")
    if code in _DENIED:
        return denials.read(message).why
    listed = answer.get("fieldList")
    named = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    found = [f"{one.get('name', '')}: {_without_values(str(one.get('message', '')))}" for one in named]
    if not found and code == "ValidationException" and message:
        found = [_without_values(message)]
    return "; ".join(found)[:_DETAIL_LENGTH]


def _without_values(text: str) -> str:
    return _VALUE.sub("...", _EXPRESSION.sub("has characters or a form that AWS does not accept", text))


def _retry_after(answer: Any) -> float:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        seconds = float(answer.get("retryAfterSeconds") or headers.get("retry-after") or _THROTTLED_SECONDS)
    except (TypeError, ValueError):
        return _THROTTLED_SECONDS
    return min(seconds, _LONGEST_THROTTLED_SECONDS) if seconds > 0 else _THROTTLED_SECONDS


def list_cases(token: str | None = None) -> tuple[list[CaseRow], str | None]:
    """Return one page of ListCases (at most 25 rows) and the token of the next page, or None."""
    with _calling("ListCases") as client:
        answer = client.list_cases(maxResults=PAGE_SIZE, **({"nextToken": token} if token else {}))
        rows = [CaseRow.model_validate(item) for item in answer.get("items", [])]
    return rows, answer.get("nextToken") or None


def get_case(case_id: str) -> Case:
    """Return a case (GetCase)."""
    with _calling("GetCase") as client:
        return Case.model_validate({**client.get_case(caseId=case_id), "caseId": case_id})


def tags(arn: str) -> dict[str, str]:
    """Return the tags of a case (ListTagsForResource) by the case's ARN."""
    with _calling("ListTagsForResource") as client:
        return dict(client.list_tags_for_resource(resourceArn=arn)["tags"])


def severity(case: Case) -> str:
    """Return the severity of a case from its tag, or `Not set`. AWS's cases have no severity."""
    return SEVERITY.read(case, tags(case.case_arn))


def tag(arn: str, values: dict[str, str]) -> None:
    """Set tags of a case (TagResource)."""
    with _calling("TagResource") as client:
        client.tag_resource(resourceArn=arn, tags=values)


class CommentList(NamedTuple):
    """Comments, oldest first. `is_complete` is False if older comments were not read."""

    comments: list[Comment]
    is_complete: bool


def comments(case_id: str, since: float | None = None) -> list[Comment]:
    """Return the comments of a case, oldest first. The arguments are those of `list_comments`."""
    return list_comments(case_id, since).comments


def list_comments(case_id: str, since: float | None = None, deadline: Deadline | None = None) -> CommentList:
    """Read the comments of a case: all of them, or at least the newest PAGE_SIZE and those created since `since`.

    AWS documents no order (https://docs.aws.amazon.com/security-ir/latest/APIReference/API_ListComments.html). The API
    was observed to return the newest comments first. Only pages that show this order end the reading early.

    Args:
        case_id: The case.
        since: Seconds since the epoch. Older comments may be left out. Default: read all comments.
        deadline: The end of the run. With it, the reading waits while AWS throttles it.

    Raises:
        OutOfTimeError: The deadline passed before the reading was complete.
    """

    def page(client: SecurityIncidentResponseClient, more: dict[str, str]) -> Any:
        return client.list_comments(caseId=case_id, maxResults=PAGE_SIZE, **more)

    found: list[Comment] = []
    for items, is_last in _pages("ListComments", Comment, page, deadline):
        found += items
        if is_last or (since is not None and _has_passed(found, since)):
            return CommentList(_oldest_first(found, lambda comment: comment.created_date), is_last)
    raise AssertionError("unreachable")


def _has_passed(found: list[Comment], since: float) -> bool:
    """Whether a list of at least one page ends before `since` and shows that its newest comments come first."""
    if len(found) < PAGE_SIZE:
        return False  # a page may be shorter than requested
    times = [comment.created_date.timestamp() if comment.created_date else 0.0 for comment in found]
    return times[-1] < min(since, times[0]) and times == sorted(times, reverse=True)


def _oldest_first(items: list[_Item], at: Callable[[_Item], datetime | None]) -> list[_Item]:
    """Sort items by time. Items of the same moment keep the list's order from its oldest end.

    The API was observed to return the newest items first.
    """

    def seconds(item: _Item) -> float:
        moment = at(item)
        return moment.timestamp() if moment else 0.0

    if items and seconds(items[0]) >= seconds(items[-1]):
        items.reverse()
    return sorted(items, key=seconds)


def edits(case_id: str) -> list[CaseEdit]:
    """Return the case's history (ListCaseEdits), oldest first."""

    def page(client: SecurityIncidentResponseClient, more: dict[str, str]) -> Any:
        return client.list_case_edits(caseId=case_id, maxResults=PAGE_SIZE, **more)

    return _oldest_first(_all("ListCaseEdits", CaseEdit, page), lambda edit: edit.event_timestamp)


def findings(case_id: str) -> list[Investigation]:
    """Return the completed actions of AWS's investigating agent (ListInvestigations), oldest first."""

    def page(client: SecurityIncidentResponseClient, more: dict[str, str]) -> Any:
        answer = client.list_investigations(caseId=case_id, maxResults=PAGE_SIZE, **more)
        return {**answer, "items": answer["investigationActions"]}

    actions = _all("ListInvestigations", Investigation, page)
    return _oldest_first([one for one in actions if one.status == "Completed"], lambda one: one.last_updated)


def send_feedback(case_id: str, investigation_id: str, usefulness: Usefulness, comment: str) -> None:
    """Rate a finding (SendFeedback). A later rating replaces it."""
    with _calling("SendFeedback") as client:
        client.send_feedback(
            caseId=case_id,
            resultId=investigation_id,
            usefulness=usefulness,
            **({"comment": comment} if comment else {}),
        )


def response_team() -> list[Person]:
    """Return the incident response team of every active membership; empty without a membership."""

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
    """Create a case (CreateCase) with the API's own fields (`clientToken`, `title`...) and return its id."""
    with _calling("CreateCase") as client:
        return str(client.create_case(**fields)["caseId"])


def update_case(case_id: str, **fields: Any) -> None:
    """Update a case (UpdateCase) with the API's own fields."""
    with _calling("UpdateCase") as client:
        client.update_case(caseId=case_id, **fields)


def update_status(case_id: str, case_status: str) -> None:
    """Set the status of a self-managed case (UpdateCaseStatus)."""
    with _calling("UpdateCaseStatus") as client:
        client.update_case_status(caseId=case_id, caseStatus=case_status)  # type: ignore[arg-type]


def close_case(case_id: str) -> None:
    """Close a case (CloseCase). A closed case cannot be reopened."""
    with _calling("CloseCase") as client:
        client.close_case(caseId=case_id)


def create_comment(case_id: str, body: str, client_token: str) -> str:
    """Create a comment (CreateCaseComment) and return its id. The same `client_token` creates only one comment."""
    with _calling("CreateCaseComment") as client:
        return str(client.create_case_comment(caseId=case_id, body=body, clientToken=client_token)["commentId"])


def update_comment(case_id: str, comment_id: str, body: str) -> None:
    """Replace the body of a comment (UpdateCaseComment)."""
    with _calling("UpdateCaseComment") as client:
        client.update_case_comment(caseId=case_id, commentId=comment_id, body=body)


def update_resolver_type(case_id: str) -> None:
    """Hand a self-managed case over to AWS (UpdateResolverType). This cannot be undone."""
    with _calling("UpdateResolverType") as client:
        client.update_resolver_type(caseId=case_id, resolverType="AWS")


def upload_url(case_id: str, file_name: str, size: int, client_token: str) -> str:
    """Return the URL to PUT a new attachment of `size` bytes (GetCaseAttachmentUploadUrl)."""
    with _calling("GetCaseAttachmentUploadUrl") as client:
        answer = client.get_case_attachment_upload_url(
            caseId=case_id, fileName=file_name, contentLength=size, clientToken=client_token
        )
    return str(answer["attachmentPresignedUrl"])


def download_url(case_id: str, attachment_id: str) -> str:
    """Return the URL to GET an attachment (GetCaseAttachmentDownloadUrl)."""
    with _calling("GetCaseAttachmentDownloadUrl") as client:
        answer = client.get_case_attachment_download_url(caseId=case_id, attachmentId=attachment_id)
    return str(answer["attachmentPresignedUrl"])


def _all(
    operation: str, model: type[_Item], page: Callable[[SecurityIncidentResponseClient, dict[str, str]], Any]
) -> list[_Item]:
    """Return the items of all pages."""
    return [item for items, _ in _pages(operation, model, page) for item in items]


def _pages(
    operation: str,
    model: type[_Item],
    page: Callable[[SecurityIncidentResponseClient, dict[str, str]], Any],
    deadline: Deadline | None = None,
) -> Iterator[tuple[list[_Item], bool]]:
    """Yield the items of each page, and whether it is the last one. With a deadline, wait while AWS throttles.

    Raises UncertainError if a page's token is that of the page before.
    """
    more: dict[str, str] = {}
    while True:
        answer = _patiently(operation, page, more, deadline)
        with _calling(operation):
            items = [model.model_validate(item) for item in answer.get("items", [])]
        token = answer.get("nextToken")
        yield items, not token
        if not token:
            return
        if token == more.get("nextToken"):
            raise UncertainError(_SERVICE, operation, "a repeated page token")
        more = {"nextToken": token}


def _patiently(
    operation: str,
    page: Callable[[SecurityIncidentResponseClient, dict[str, str]], Any],
    more: dict[str, str],
    deadline: Deadline | None,
) -> Any:
    """Read a page. With a deadline, wait while AWS throttles it, so that the pages read so far are kept."""
    for attempt in range(1, _TRIES + 1):
        if deadline is not None:
            deadline.check()
        try:
            with _calling(operation) as client:
                return page(client, more)
        except RetryLaterError as error:
            if deadline is None or attempt == _TRIES or error.seconds > _LONGEST_WAIT_SECONDS:
                raise
            deadline.wait(error.seconds)
    raise AssertionError("unreachable")
