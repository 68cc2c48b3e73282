"""List the credentials and policies of a contained principal that an attacker may have left behind.

The list is read after the containment, when analysts are asked, and before a decision or release is carried out. It
informs only: a read that fails is named in the list, and neither delays nor fails anything else.

IAM dates credentials and the versions of customer managed policies. It dates neither the attachment of a policy nor an
inline policy: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachedPolicy.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.errors import IrRouterError
from ir_router.ledger import containments
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.workflow import identity, notices, scopes, sessions, wording
from ir_router.workflow.details import harmless
from ir_router.workflow.incident import Principal

# One attempt of a call takes at most 8 s and the client makes three.
_RESERVE_SECONDS = 25.0
# For so long after the containment, reads that fail for a moment are repeated.
_TRIED_SECONDS = 900.0
_DENIED = ("AccessDenied", "AccessDeniedException")
_MISSING = "NoSuchEntity"
_MOST = 12
_LENGTH = 200
_INLINE = "inline policy"
_ATTACHED = "attached policy"
_CONSOLE = "console password"

# A thing that IAM has: its description, its name or id, its date in seconds since the epoch (None: IAM has no date).
Found = tuple[str, str, float | None]


def report(arn: str, execution: str, context: Any) -> None:
    """List possible leftovers on the incident's case, once. A failure is logged, and a later call repeats it."""
    try:
        row = containments.get(arn) or {}
        if row.get("incident") != execution or "contained_at" not in row or scopes.is_key_only(row):
            return
        if "left_behind" not in row:
            found = read(row, context)
            if found.incomplete and clock.now() < float(row["contained_at"]) + _TRIED_SECONDS:
                logger.info("containment.left_behind_incomplete: the next verification reads the list again")
                return
            if not containments.annotate(arn, execution, left_behind=found.lines, inline_policies=found.inline):
                return
            row = containments.get(arn) or {}
        case_id = row.get("case_id")
        if case_id and row.get("left_behind") and not row.get("left_behind_reported"):
            text = wording.lines(headline(row), *(f"- {one}" for one in row["left_behind"]))
            notices.comment(str(case_id), f"left-behind-{execution}-{arn}", text)
            containments.annotate(arn, execution, left_behind_reported=True)
    except (IrRouterError, ClientError, BotoCoreError) as error:
        logger.warning(
            "containment.left_behind_not_listed: a later verification lists it", extra={"error": repr(error)[:200]}
        )


def headline(row: Mapping[str, Any]) -> str:
    """Return the first line of the list."""
    return f"{wording.name_of(row['principal'])}: check possible leftovers since {_since_of(row)}."


def before_release(row: Row, context: Any) -> list[str]:
    """Return the list as IAM shows it now, before the containment is lifted or becomes permanent."""
    try:
        return read(row, context).lines
    except (IrRouterError, ClientError, BotoCoreError) as error:
        return [_not_read([f"all credentials and policies ({type(error).__name__})"])]


class Listing(NamedTuple):
    """The lines, the names of the inline policies, and whether a read failed for a reason that may pass."""

    lines: list[str]
    inline: list[str]
    incomplete: bool = False


def read(row: Mapping[str, Any], context: Any) -> Listing:
    """Read the list from IAM.

    Args:
        row: The principal's containment row.
        context: Lambda's context. Reads that the rest of the invocation has no time for are named in the list.

    Returns:
        One line for each thing that was created or changed since the first suspicious event or cannot be dated, then
        the reads that failed. There are no lines if there is nothing.
    """
    principal = identity.current_principal(row["principal"], row["recorded"]["keys"])
    if principal is None:
        return Listing(["the principal no longer exists in IAM"], [])
    since = float(row.get("suspicious_since") or row["opened_at"])
    lines: list[str] = []
    unread: list[str] = []
    inline: list[str] = []
    incomplete = False
    for what, call in _reads(principal):
        if float(context.get_remaining_time_in_millis()) / 1000 < _RESERVE_SECONDS:
            incomplete = True
            unread.append(f"{what} (no time)")
            continue
        try:
            for found in call():
                inline += [found[1]] if what == _INLINE else []
                lines += _line(found, row, since)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            incomplete |= code not in (*_DENIED, _MISSING)
            if code != _MISSING:
                unread.append(f"{what} ({code})")
        except BotoCoreError as error:
            incomplete = True
            unread.append(f"{what} ({type(error).__name__})")
    if len(lines) > _MOST:
        lines = [*lines[:_MOST], f"{len(lines) - _MOST} more"]
    lines += [_not_read(unread)] if unread else []
    return Listing(lines, sorted(inline), incomplete)


def _not_read(what: list[str]) -> str:
    return f"NOT read: {', '.join(what)}. Check this by hand"


def _line(found: Found, row: Mapping[str, Any], since: float) -> list[str]:
    """Return the line of one thing; empty if it is older than the first suspicious event or known to be."""
    what, name, at = found
    shown = f"{what} {wording.cut(harmless(name), _LENGTH)}"
    if at is not None and at >= since:
        return [] if name in row["named_keys"] else [f"{shown}, {_at(at)}"]
    if what == _CONSOLE:
        return [f"{shown}, created earlier: IAM does not date a change of the password"]
    if at is not None:
        return []
    if what == _ATTACHED:
        if name in row["recorded"].get("policies", ()):
            return [f"{shown}: attached before the containment, IAM does not date it"]
        return [f"{shown}: attached since the containment"]
    known = row.get("inline_policies")
    if known is not None and name not in known:
        return [f"{shown}: added since the containment"]
    return [f"{shown}: IAM does not date it"]


def _reads(principal: Principal) -> Iterator[tuple[str, Callable[[], Iterator[Found]]]]:
    """Yield each kind of thing and the function that reads it."""
    if principal["kind"] == "user":
        for kind in _OF_A_USER:
            yield kind.what, partial(_listed, kind, principal)
        yield "service-specific credential", partial(_service_credentials, principal)
        yield _CONSOLE, partial(_login_profile, principal)
    yield _ATTACHED, partial(_attached, principal)
    yield "document of a policy", partial(_documents, principal)
    yield _INLINE, partial(_inline, principal)


class _Kind(NamedTuple):
    """A kind of credential: its description, its operation, and the fields of the answer, the name and the date."""

    what: str
    operation: str
    entries: str
    name: str
    date: str


_OF_A_USER = (
    _Kind("access key", "list_access_keys", "AccessKeyMetadata", "AccessKeyId", "CreateDate"),
    _Kind("MFA device", "list_mfa_devices", "MFADevices", "SerialNumber", "EnableDate"),
    _Kind("SSH key", "list_ssh_public_keys", "SSHPublicKeys", "SSHPublicKeyId", "UploadDate"),
    _Kind("signing certificate", "list_signing_certificates", "Certificates", "CertificateId", "UploadDate"),
)


def _listed(kind: _Kind, user: Principal) -> Iterator[Found]:
    client: Any = sessions.reader(user["account"])
    for page in client.get_paginator(kind.operation).paginate(UserName=user["name"]):
        for entry in page[kind.entries]:
            yield kind.what, str(entry[kind.name]), entry[kind.date].timestamp()


def _service_credentials(user: Principal) -> Iterator[Found]:
    answer = sessions.reader(user["account"]).list_service_specific_credentials(UserName=user["name"])
    for entry in answer["ServiceSpecificCredentials"]:
        shown = f"{entry['ServiceSpecificCredentialId']} for {entry['ServiceName']}"
        yield "service-specific credential", shown, entry["CreateDate"].timestamp()


def _login_profile(user: Principal) -> Iterator[Found]:
    profile = sessions.reader(user["account"]).get_login_profile(UserName=user["name"])["LoginProfile"]
    yield _CONSOLE, f"of {profile['UserName']}", profile["CreateDate"].timestamp()


def _attached(principal: Principal) -> Iterator[Found]:
    """Yield the attached policies except the deny policies of ir-router."""
    client: Any = sessions.reader(principal["account"])
    own = (sessions.deny_policy_arn(), sessions.earlier_deny_policy_arn(principal["account"]))
    kind, argument = ("user", "UserName") if principal["kind"] == "user" else ("role", "RoleName")
    pages = client.get_paginator(f"list_attached_{kind}_policies").paginate(**{argument: principal["name"]})
    for page in pages:
        for policy in page["AttachedPolicies"]:
            arn = str(policy["PolicyArn"])
            if arn not in own:
                yield _ATTACHED, arn, None


def _documents(principal: Principal) -> Iterator[Found]:
    """Yield the attached policies of the customer with the date of their latest document. AWS changes its own."""
    client: Any = sessions.reader(principal["account"])
    for _what, arn, _date in _attached(principal):
        if ":aws:policy/" not in arn:
            changed = client.get_policy(PolicyArn=arn)["Policy"]["UpdateDate"].timestamp()
            yield "document of policy", arn, changed


def _inline(principal: Principal) -> Iterator[Found]:
    client: Any = sessions.reader(principal["account"])
    kind, argument = ("user", "UserName") if principal["kind"] == "user" else ("role", "RoleName")
    for page in client.get_paginator(f"list_{kind}_policies").paginate(**{argument: principal["name"]}):
        for name in page["PolicyNames"]:
            yield _INLINE, str(name), None


def _since_of(row: Mapping[str, Any]) -> str:
    return _at(float(row.get("suspicious_since") or row["opened_at"]))


def _at(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
