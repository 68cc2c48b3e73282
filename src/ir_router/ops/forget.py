"""Erase the rows of closed cases now, before their retention ends, and record that in the audit."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ir_router import aws, clock
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import InvalidInputError, RefusedError
from ir_router.ledger import audit, keys, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.observability import logger
from ir_router.ops import names
from ir_router.ops.resync import RUN_SECONDS, case_id_of
from ir_router.slack.gateway import Slack

_RESERVE_SECONDS = 60
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,}")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


def run_operation(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Erase the rows of a case, or of all closed cases with a person. Cases in AWS and channels in Slack stay.

    Args:
        event: `{"task": "forget"}` with `case_id`, or with `person` (Slack user id or e-mail address).
        context: Lambda's context object.

    Returns:
        For a case `{"case_id", "outcome"}` of case_to_slack.synchronise: `erased`, or the reason why the next run
        erases the rows. For a person `{"person", "cases", "open_cases", "complete"}`: the closed cases whose rows -sync
        erases now, the open cases, which need their rows, and whether all cases were read.

    Raises:
        InvalidInputError: The case id or the person is invalid, or ir-router has no rows of a closed case with this id.
        FunctionFailedError: -sync raised an error.
    """
    if "person" in event:
        return _forget_person(event, of_invocation(context, reserve=_RESERVE_SECONDS))
    case_id = case_id_of(event)
    _mark(case_id)
    return aws.invoke(names.function("sync"), _hint(case_id), seconds=RUN_SECONDS)


def _mark(case_id: str) -> None:
    """Let -sync erase the rows of a case, and record that. Raises InvalidInputError if the case is not closed."""
    try:
        # Only this mark lets -sync erase rows before the end of the retention.
        table.update(
            keys.case(case_id),
            "SET forget_at = :now REMOVE next_try",
            "closed = :true AND attribute_not_exists(erased_at)",
            now=clock.now(),
            true=True,
        )
    except ConditionFailedError as conflict:
        why = (
            "its rows are already erased"
            if "erased_at" in conflict.row
            else "it is not closed, or ir-router does not know it. Close the case first"
        )
        raise InvalidInputError(f"Case {case_id} cannot be erased: {why}.") from conflict
    audit.append("case_erased", "operator", {"case_id": case_id}, once=f"case_erased {case_id}")


def _hint(case_id: str) -> dict[str, Any]:
    return {"source": "security-ir", "detail-type": "CaseUpdated", "detail": {"caseId": case_id}}


def _forget_person(event: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
    person = str(event.get("person")).strip()
    if not _USER_ID.fullmatch(person) and not _ADDRESS.fullmatch(person):
        raise InvalidInputError("person must be a Slack user id, such as U012ABCDEF, or an e-mail address.")
    named = _names_of(person, Slack(deadline))
    cases, open_cases, complete = [], [], True
    for entry in table.query_index(keys.CASES_INDEX):
        if deadline.remaining() <= 0:
            complete = False
            break
        case_id = str(entry["index_sk"])
        if not _is_named(named, case_id):
            continue
        if not entry.get("closed"):
            open_cases.append(case_id)
            continue
        _mark(case_id)
        aws.invoke_later(names.function("sync"), _hint(case_id))
        cases.append(case_id)
    found = {"cases": cases, "open_cases": open_cases, "complete": complete}
    # The digest shows whether a request was about a known person, and does not keep their address.
    audit.append("person_erased", "operator", {**found, "person_sha256": _digest(person)})
    logger.info("person.erased", extra={"cases": len(cases), "open_cases": len(open_cases)})
    return {"person": person, **found}


def _names_of(person: str, slack: Slack) -> set[str]:
    """Return the person's Slack user id and address, as far as Slack knows them, in lower case."""
    found = {person}
    try:
        if "@" in person:
            found.add(str(slack.read("users.lookupByEmail", email=person)["user"]["id"]))
        else:
            profile = slack.read("users.info", user=person)["user"].get("profile") or {}
            found.add(str(profile.get("email") or person))
    except RefusedError as error:
        logger.warning("person.not_in_slack: only the given name is erased", extra={"code": error.code})
    return {name.casefold() for name in found}


def _is_named(named: set[str], case_id: str) -> bool:
    """Return whether a row of the case names the person."""
    for row in table.query(keys.case(case_id).pk):
        text = json.dumps(row, default=str, ensure_ascii=False).casefold()
        if any(re.search(rf"(?<![\w.+-]){re.escape(name)}(?![\w-]|\.\w)", text) for name in named):
            return True
    return False


def _digest(person: str) -> str:
    return hashlib.sha256(person.casefold().encode()).hexdigest()
