"""The Slack message of an approval request: the decision and both effects, later replaced by the result. Pure.

Texts come from the approval's row; untrusted text in them is escaped. Links have the region of the settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ir_router import command_lines, links
from ir_router.ledger import releases, two_people
from ir_router.ledger.approvals import DECIDED, DELIVERED, EXPIRED, principals_of
from ir_router.settings import settings
from ir_router.slack.messages import Message, context, section, sections
from ir_router.slack.text import escape, linked, shorten, slack_date
from ir_router.sync import creator_offers, request_people

APPROVE, DENY = "approval_approve", "approval_deny"
RELEASE = "release_access"
APPROVE_FORM, REASON_FORM, RELEASE_FORM = "approval_confirm", "approval_reason", "release_confirm"
REASON, PRINCIPAL = "reason", "principal"
REASON_LENGTH = 1_000

# Escaping turns one character into at most five, and five such lines fit into a message.
_LINE_LENGTH = 400
# Separates the approval's id and the number of joined events in a button's value.
_JOINED = "/"
# Slack's limits (https://docs.slack.dev/reference/block-kit/composition-objects/option-object).
_MOST_CHOICES, _CHOICE_LENGTH = 100, 75
_NOT_CONTAINED = "NOT contained until you approve"
_SLACK_ID = re.compile(r" \([UW][A-Z0-9]{2,}\)", re.ASCII)
_PAST = {"approve": "Approved", "deny": "Denied"}

Row = Mapping[str, Any]


def message(row: Row) -> Message:
    """Return the message for the approval's current state."""
    head = _head(row)
    done = [str(done) for done in row["done"]]
    if row.get("seconds_from_event") is not None:
        done.append(f"{_duration(float(row['seconds_from_event']))} after the event")
    lines = [f"*{head}*", f"*What*  {_line(row['what'])}", f"{_label(row)}  {_line(' · '.join(done))}"]
    lines += [f"*Note*  {_line(note)}" for note in row.get("at_large") or []]
    lines += [*_joined(row), *creator_offers.lines(row)]
    blocks: list[dict[str, Any]] = []
    if _is_open(row) and row.get("owners") == []:
        lines.append("*Barred*  no user, because the owner of the credentials is unknown")
    if _is_open(row) and row.get("last_approvers"):
        who = _line(", ".join(row["last_approvers"]))
        lines.append(f"*Barred*  every approver owns credentials of this incident; the last may decide: {who}")
    if _is_open(row):
        lines += [f"*Approve*  {_line(row['approve_does'])}", f"*Deny*  {_line(row['deny_does'])}"]
    elif row.get("notes"):
        lines.append(f"*Reason*  {_line(row['notes'])}")
    lines += [*request_people.lines(row), *_release_lines(row)]
    elements = [*([_approve(row), _deny(row)] if _is_open(row) else []), *request_people.buttons(row)]
    elements += creator_offers.buttons(row)
    elements += [_release(row)] if releases.releasable(row) else []
    if elements:
        blocks.append({"type": "actions", "block_id": "approval", "elements": elements})
    if row.get("no_case") and not row.get("case_id"):
        lines.append(f"*Case*  {_line(row['no_case'])}")
    lines += _listed(row)
    lines = [_linked(line, row) for line in lines]
    text = f"{head.removesuffix('.')}. {_line(row['what'])}"
    if _is_open(row):
        text += f" Approve {_line(row['approve_does'])} Deny {_line(row['deny_does'])}"
    return Message(text=text, blocks=[*sections(lines), *blocks, context(_small_print(row))])


def _label(row: Row) -> str:
    """Return the label of the containment's steps. After its end, it does not read as if it were still in place."""
    if is_permission(row):
        return "*Why*"
    contained = f"*Contained* {_at(row['created_at'])}, " if "created_at" in row else "*Contained*, "
    if row["state"] == DELIVERED and row.get("decision") == "deny" and row.get("result"):
        return f"{contained}restored {_at(row['received_at'])}:"
    if row.get("released") and not _is_open(row) and not releases.releasable(row):
        return f"{contained}released {_at(row['released_at'])}:"
    return "*Done*"


def has_outcome(row: Row) -> bool:
    """Whether the request has ended with a result. A granted permission to contain leads to a second request."""
    if is_permission(row) and row.get("decision") == "approve":
        return False
    return row["state"] == EXPIRED or (row["state"] == DELIVERED and bool(row.get("result")))


def outcome(row: Row, link: str) -> Message:
    """Return the new message about the end of a request. An edited message alone marks no channel as unread."""
    text = f"{_head(row).removesuffix('.')}."
    where = f" <{link}|Open the request>" if link else ""
    return Message(text=f"{text}{where}", blocks=[section(f"{_linked(text, row)}{where}")])


def decided_by(row: Row) -> str:
    """Return the decision about an ended request and its analysts, as plain text; empty without a decision."""
    return f"{_PAST[row['decision']]} by {_analysts(row)}" if row["state"] == DELIVERED else ""


def _linked(line: str, row: Row) -> str:
    """Make the users and roles in an escaped line links, unless it is a command or has links of its own."""
    if line.startswith("```") or "<http" in line:
        return line
    return linked(line, urls(row))


def urls(row: Row) -> dict[str, str]:
    """Return the URLs of the users and roles that the texts of a request name, by their names."""
    return links.principals([*(row.get("named") or ()), *principals_of(row)])


def is_permission(row: Row) -> bool:
    """Whether the request is for permission to contain a principal (hourly limit, roles)."""
    return str(row["kind"]) == "contain"


def reminder(row: Row, waited: str, link: str) -> Message:
    """Return a reminder of a pending request.

    Args:
        row: The approval's row.
        waited: The time since the request, for example `1 h`.
        link: The link to the request in the same channel, or an empty string.
    """
    until = f"Approve or deny by {_at(row['decide_by'])}"
    without = (
        f"{_NOT_CONTAINED}. {until}."
        if is_permission(row)
        else f"{until}. Without a decision, the containment stays in place."
    )
    separator = " " if is_permission(row) else ". "  # the headline of a request for permission is a question
    text = (
        f"Still waiting for a decision: {_line(row['headline'])}{separator}{without} The request was made {waited} ago."
    )
    return _pointing(text, row, link)


def overdue(row: Row, link: str) -> Message:
    """Return the message for the other approvers: the assignee of the request has not decided."""
    assignee = row["assignee"]
    name = request_people.name_of(assignee)
    text = (
        f"No decision yet: {_line(row['headline'])}. {name} took this request at "
        f"{_at(assignee['at'])}. Check with {name}, or approve or deny by {_at(row['decide_by'])}."
    )
    return _pointing(text, row, link)


def _pointing(text: str, row: Row, link: str) -> Message:
    """Return a message about a pending request that points to the request with its buttons."""
    where = f"<{link}|Open the request>" if link else "Its buttons are earlier in this channel."
    blocks = [section(f"{_linked(text, row)} {where}"), context(_small_print(row))]
    return Message(text=f"{text} {where}", blocks=blocks)


def approve_form(origin: str, row: Row) -> dict[str, Any]:
    """Return the form that confirms an approval. Slack returns the hidden `origin` with the submission."""
    title, submit = ("Approve containment", "Approve") if is_permission(row) else ("Approve", "Approve")
    return _form(APPROVE_FORM, origin, title, submit, [*_facts(row, f"*Approve*  {_line(row['approve_does'])}")])


def reason_form(origin: str, row: Row) -> dict[str, Any]:
    """Return the form for the reason of a denial. Slack returns the hidden `origin` with the submission."""
    title, submit = ("Do not contain", "Do not contain") if is_permission(row) else ("Deny and restore", "Deny")
    return _form(REASON_FORM, origin, title, submit, [*_facts(row, f"*Deny*  {_line(row['deny_does'])}"), _reason()])


def release_form(origin: str, rows: Sequence[Row], reason: str) -> dict[str, Any]:
    """Return the form that releases the containment of one or all principals of approval requests.

    The value of each choice is the id of a request with the number of a principal (`parse_button_value`), or without a
    number for all principals of the request.
    """
    options: list[dict[str, Any]] = []
    for row in rows:
        approval_id, found = str(row["approval_id"]), principals_of(row)
        contained = releases.releasable(row)
        if len(contained) > 1:
            options.append(_option(f"All {len(contained)} principals of this incident", f"{approval_id}{_JOINED}"))
        options += [_option(arn.rpartition(":")[2], f"{approval_id}{_JOINED}{found.index(arn)}") for arn in contained]
    options = options[:_MOST_CHOICES]
    choice = {
        "type": "input",
        "block_id": PRINCIPAL,
        "label": _plain("Principal"),
        "element": {
            "type": "static_select",
            "action_id": PRINCIPAL,
            "options": options,
            "initial_option": options[0],
        },
    }
    effect = "Releasing restores the state before the containment: keys that were active, and no deny policy. Deleted "
    effect += "keys stay deleted."
    return _form(RELEASE_FORM, origin, "Release", "Release", [section(effect), choice, _reason(reason)])


def _reason(initial: str = "") -> dict[str, Any]:
    element: dict[str, Any] = {
        "type": "plain_text_input",
        "action_id": REASON,
        "multiline": True,
        "max_length": REASON_LENGTH,
    }
    if initial:
        element["initial_value"] = initial[:REASON_LENGTH]
    return {
        "type": "input",
        "block_id": REASON,
        "label": _plain("Reason"),
        "hint": _plain("The reason is recorded in the audit log and on the case."),
        "element": element,
    }


def _option(text: str, value: str) -> dict[str, Any]:
    return {"text": _plain(shorten(text, _CHOICE_LENGTH)), "value": value}


def _facts(row: Row, effect: str) -> list[dict[str, Any]]:
    """Return the facts of the ledger. The message with the button may show others, if its text was changed."""
    lines = [f"*{_line(row['headline'])}*", f"*What*  {_line(row['what'])}", *_joined(row), effect, *_listed(row)]
    lines = [_linked(line, row) for line in lines]
    return [*sections(lines), context(_small_print(row))]


def _form(name: str, origin: str, title: str, submit: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": name,
        "private_metadata": origin,
        "title": _plain(title),
        "submit": _plain(submit),
        "close": _plain("Cancel"),
        "blocks": blocks,
    }


def parse_button_value(value: str) -> tuple[str, int | None]:
    """Return the approval's id and the number of joined events, which is None in messages of earlier versions."""
    approval_id, _, joined = value.partition(_JOINED)
    return approval_id, int(joined) if joined.isascii() and joined.isdigit() and len(joined) < 10 else None


def button_value(row: Row) -> str:
    """Return a button's value: the approval's id and the number of events that have joined the incident."""
    return f"{row['approval_id']}{_JOINED}{int(row.get('joined_events', 0))}"


def _joined(row: Row) -> list[str]:
    count = int(row.get("joined_events", 0)) + int(row.get("summarised_events", 0))
    if not count:
        return []
    last = _line((row.get("last_joined") or {}).get("what", ""))
    of = "this incident" if row.get("listed") else "the same principal"
    summarised = "; your decision covers further events of these principals" if row.get("summarised_events") else ""
    return [f"*Joined*  {count} more {'event' if count == 1 else 'events'} of {of}; last: {last}{summarised}"]


def _release_lines(row: Row) -> list[str]:
    """Return who released the principals, and how to release those that are still contained."""
    released = [str(arn).rpartition("/")[2] for arn in sorted(row.get("released") or ())]
    contained = releases.releasable(row)
    lines = []
    if released and contained:
        lines.append(f"*Released*  {_line(', '.join(released))}, by {_releasers(row)}")
    if contained:
        people = "Two people must release, " if two_people.required(row, "release") > 1 else ""
        lines.append(f"*Release*  {people}with the button, or on the command line:")
        lines.append(f"```{escape(command_lines.release_request(str(row['approval_id'])))}```")
    return lines


def _listed(row: Row) -> list[str]:
    """Return one line for each principal of an incident that has or had several."""
    listed = list(row.get("listed", []))
    return [f"*Principals ({len(listed)})*", *(_line(one) for one in listed)] if listed else []


def _head(row: Row) -> str:
    headline = _line(row["headline"])
    state = row["state"]
    if row.get("released") and not _is_open(row) and not releases.releasable(row):
        by = f"Released by {_releasers(row)}, {_at(row['released_at'])}"
        before = f"{_PAST[row['decision']]} by {_who(row)}" if state == DELIVERED else "No valid decision"
        return f"{by} - {_line(row.get('who', row['headline']))}. Before: {before}"
    if state == DECIDED:
        return f"Decision recorded, NOT in effect yet: {row['decision']}, by {_who(row)} - {headline}"
    if state == DELIVERED:
        about = _line(row.get("who", row["headline"]))
        result = (
            _line(row["result"]) if row.get("result") else f"the workflow is carrying out the decision about {about}"
        )
        return f"{_PAST[row['decision']]} by {_who(row)}, {_at(row.get('decided_at') or row['received_at'])} - {result}"
    if state == EXPIRED:
        kept = f"{headline}; the containment stays until you release it"
        if is_permission(row):
            was, it = ("were", "them") if len(row.get("listed", ())) > 1 else ("was", "it")
            kept = f"{_line(row.get('who', 'it'))} {was} NOT contained. Contain {it} by hand now"
        return f"No valid decision: {_line(str(row.get('why', '')))} - {kept}"
    free = f" {_NOT_CONTAINED}" if is_permission(row) else ""
    return f"🔐 Approval needed by {_at(row['decide_by'])} - {headline}{free}"


def _releasers(row: Row) -> str:
    """Return who released last, by name. The audit and the case have the ids too."""
    return _line(_SLACK_ID.sub("", str(row["released_by"])))


def _is_open(row: Row) -> bool:
    return row["state"] not in (DECIDED, DELIVERED, EXPIRED)


def _who(row: Row) -> str:
    return escape(_analysts(row))


def _analysts(row: Row) -> str:
    """Return who decided, as plain text."""
    analyst = row.get("analyst") or {}
    alone = " (break-glass, without a second person)" if analyst.get("break_glass") else ""
    people = [*([analyst["first"]] if analyst.get("first") else []), analyst]
    return f"{' and '.join(map(request_people.plain_name_of, people))}{alone}"


def _small_print(row: Row) -> str:
    parts = [f"{escape(str(row['severity']))}: {escape(str(row['title']))}"]
    if row.get("case_id"):
        url = links.case(str(row["case_id"]), settings().region)
        parts.append(f"<{escape(url)}|case {escape(str(row['case_id']))}>")
    if url := links.execution(str(row.get("execution", ""))):
        parts.append(f"<{escape(url)}|workflow>")
    if url := str(row.get("finding") or ""):
        parts.append(f"<{escape(url)}|finding>")
    return " · ".join([*parts, f"event {escape(str(row['event_id']))}", f"approval {row['approval_id']}"])


def _approve(row: Row) -> dict[str, Any]:
    return _button(row, APPROVE, f"Approve: {_effect(row)} ...", "danger")


def _deny(row: Row) -> dict[str, Any]:
    return _button(row, DENY, "Deny: leave as it is ..." if is_permission(row) else "Deny: restore access ...", None)


def _effect(row: Row) -> str:
    """Return the effect of an approval in a few words. A permission that is granted contains the principal."""
    if is_permission(row):
        return "contain"
    does = str(row["approve_does"])
    if not does.startswith("permanently deletes"):
        return "keep contained"
    return "delete keys" if re.match(r"permanently deletes (keys |\d+ keys)", does) else "delete key"


def _release(row: Row) -> dict[str, Any]:
    return _button(row, RELEASE, "Release: restore access ...", None)


def _button(row: Row, action_id: str, text: str, style: str | None) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action_id,
        "text": _plain(text),
        "value": button_value(row),
        **({"style": style} if style else {}),
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def _duration(seconds: float) -> str:
    return f"{round(seconds)} s" if seconds < 120 else f"{round(seconds / 60)} min"


def _line(text: str) -> str:
    return escape(shorten(" ".join(str(text).split()), _LINE_LENGTH, "in the audit"))


def _at(seconds: float) -> str:
    return slack_date(float(seconds), f"{datetime.fromtimestamp(float(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC")
