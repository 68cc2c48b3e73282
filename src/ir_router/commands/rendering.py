"""The answers of `/security-ir` as plain text, which is escaped when it is sent. Pure.

The specification's section "Slash Commands for Case Management" gives labels, order, emoji and wording. Statuses have
AWS's name after the specification's (`In Progress (Detection and Analysis)`).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime

from ir_router.cases import status
from ir_router.cases.models import Case
from ir_router.commands.catalogue import COMMAND, SUB_COMMANDS, SubCommand
from ir_router.slack.text import shorten

_DESCRIPTION_LENGTH = 1_000
_NAME_LENGTH = 40
_ON_THE_CASE = "on the case"


def moment(at: datetime | None) -> str:
    """Return a time in the specification's format."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "Unknown"


def people(count: int) -> str:
    """Return `3 users`."""
    return _count(count, "user")


def files(count: int) -> str:
    """Return `2 files`."""
    return _count(count, "file")


def duration(seconds: float) -> str:
    """Return a duration in at most two units: `3 hours 30 minutes`, `2 days 1 hour`, `less than a minute`."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    units = (("day", minutes // 1440), ("hour", minutes // 60 % 24), ("minute", minutes % 60))
    first = next(index for index, (_, amount) in enumerate(units) if amount)
    return " ".join(_count(amount, name) for name, amount in units[first : first + 2] if amount)


def _count(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def case_status(case: Case, severity: str) -> str:
    """Return the answer to `status`."""
    return "\n".join(
        (
            "📋 Case Status",
            f"ID: {case.case_id}",
            f"Status: {status.shown(case.case_status)}",
            f"Severity: {severity}",
            f"Title: {case.title}",
            f"Description: {shorten(case.description, _DESCRIPTION_LENGTH, _ON_THE_CASE)}",
            f"Created: {moment(case.created_date)}",
            f"Last Updated: {moment(case.last_updated_date)}",
            f"Watchers: {people(len(case.watchers))}",
        )
    )


def _signed(by: str, at: datetime, done: str = "Updated by") -> str:
    return f"{done}: @{by}\nTimestamp: {moment(at)}"


def status_updated(shown: str, by: str, at: datetime) -> str:
    """Return the answer to `update-status`. `shown` is the status as the user named it."""
    return f'✅ Case status updated to "{shown}"\n{_signed(by, at)}'


def description_updated(description: str, by: str, at: datetime) -> str:
    """Return the answer to `update-description`."""
    shown = shorten(description, _DESCRIPTION_LENGTH, _ON_THE_CASE)
    return f'✅ Case description updated\nNew description: "{shown}"\n{_signed(by, at)}'


def title_updated(old: str, new: str, by: str, at: datetime) -> str:
    """Return the answer to `update-title`."""
    return f'✅ Case title updated\nOld title: "{old}"\nNew title: "{new}"\n{_signed(by, at)}'


def unchanged(label: str, shown: str) -> str:
    """Return the answer to a change to the value that the case already has."""
    return f'✅ Case {label} is already "{shorten(shown, _DESCRIPTION_LENGTH, _ON_THE_CASE)}"\nNothing was changed'


def closed(case_id: str, by: str, at: datetime) -> str:
    """Return the answer to a confirmed `close`."""
    return (
        f"🔒 Case closed successfully\nCase ID: {case_id}\n{_signed(by, at, 'Closed by')}\n"
        "Channel will remain active for reference"
    )


def already_closed(case: Case) -> str:
    """Return the answer to `close` for a closed case."""
    return (
        f"🔒 Case is already closed\nCase ID: {case.case_id}\nClosed: {moment(case.closed_date)}\n"
        "A closed case cannot be reopened"
    )


def cannot_change_closed(case: Case) -> str:
    """Return the error for a change to a closed case."""
    return (
        f"Case is closed and cannot be changed or reopened\nClosed: {moment(case.closed_date)}\n"
        f"To open a new case, type {COMMAND} create"
    )


def invalid_status() -> str:
    """Return the specification's error for an invalid status."""
    return f"Invalid status. Valid options: {', '.join(status.SPECIFIED)}"


def status_of_aws(wanted: str) -> str:
    """Return the error for a status that only AWS sets."""
    return f"Only AWS can set {wanted}. Valid options: {', '.join(status.SPECIFIED)}"


def aws_supported() -> str:
    """Return the answer to `update-status` for a case that AWS's responders resolve."""
    return (
        "Only AWS can set the status of this case, because it is AWS-supported and not self-managed\n"
        f"To close it, type {COMMAND} close. To write to AWS's responders, type {COMMAND} comment"
    )


def no_way(now: str, wanted: str, possible: Sequence[str]) -> str:
    """Return the error for a change between statuses that AWS rejects. `possible` are the statuses that it allows."""
    ways = f"Allowed now: {', '.join(map(status.shown, possible))}" if possible else ""
    return (
        "AWS Security Incident Response does not allow a status change "
        f"from {status.shown(now)} to {status.shown(wanted)}\n"
        f"{ways or 'Nothing was changed'}"
    )


def too_long(label: str, length: int, limit: int) -> str:
    """Return the error for a text over AWS's limit, in characters."""
    return (
        f"The {label} has {length:,} characters; AWS Security Incident Response allows at most {limit:,}\n"
        "Nothing was changed"
    )


def overtaken(label: str, now: str) -> str:
    """Return the error for a field that another user changed between two attempts."""
    return (
        f'Another user has changed the case {label} to "{shorten(now, _DESCRIPTION_LENGTH, _ON_THE_CASE)}"\n'
        "Your change was not made. Repeat the command if you still want it"
    )


def watchers_changed(done: str, shown: str, by: str, at: datetime) -> str:
    """Return the answer to `add-watcher` and `remove-watcher`."""
    return f"✅ Watchers {done}\n{done.capitalize()}: {shown}\n{_signed(by, at)}"


def already_watching(shown: str) -> str:
    """Return the answer to `add-watcher` if all of them already watch the case."""
    return f"✅ Already watching: {shown}\nNothing was changed"


def not_watching() -> str:
    """Return the answer to `remove-watcher` if none of them watches the case."""
    return "✅ None of these people watches the case\nNothing was changed"


def too_many_watchers(present: int, limit: int) -> str:
    """Return the error for too many watchers."""
    return f"A case can have at most {limit} watchers, and this one has {present}\nNothing was changed"


def no_address(name: str) -> str:
    """Return the error for a user without an e-mail address."""
    return f"A watcher needs an e-mail address, and Slack shows none for {name}\nNothing was changed"


def not_a_person(word: str) -> str:
    """Return the error for a word that is neither a mention nor an address."""
    return f'"{shorten(word, _NAME_LENGTH)}" is neither a mention (@name) nor an e-mail address\nNothing was changed'


def commented(by: str, at: datetime) -> str:
    """Return the answer to `comment`."""
    return f"✅ Comment added to the case, not to the channel\n{_signed(by, at, 'Added by')}"


def created(case_id: str, title: str, by: str, at: datetime, unreachable: Sequence[str]) -> str:
    """Return the answer to a submitted `create` form. `unreachable` are users without an e-mail address."""
    left_out = f"\nNot added as watcher (no e-mail address in Slack): {', '.join(unreachable)}" if unreachable else ""
    return f"✅ Case opened\nCase ID: {case_id}\nTitle: {title}\n{_signed(by, at, 'Opened by')}{left_out}"


def may_not_create() -> str:
    """Return the error for a user who may not open cases."""
    return "You don't have permission to open cases\nContact your administrator for access"


def missing(entry: SubCommand) -> str:
    """Return the error for a sub-command without its argument."""
    return f"Please specify {entry.asks_for}. Usage: {entry.usage}"


def wrong_channel(prefix: str) -> str:
    """Return the specification's error for a channel without a case."""
    return f"This command can only be used in AWS Security IR incident channels\nChannel name must start with: {prefix}"


def not_permitted() -> str:
    """Return the specification's error for a user without permission."""
    return "You don't have permission to modify this case\nContact your administrator or case owner for access"


def outside_address(who: str) -> str:
    """Return the error for watchers whose domain is not allowed."""
    return (
        f"Watchers not added: {who} is outside of the allowed domains\n"
        "Ask your operators to add the domain to watcher_domains"
    )


def service_error(error_id: str, attempted: str) -> str:
    """Return the specification's service error. `attempted` is its `update`, or `read` or `open`."""
    return (
        f"❌ Unable to {attempted} case due to service error\nError ID: {error_id}\nPlease try again or contact support"
    )


def connectivity(error_id: str) -> str:
    """Return the specification's warning that the work continues."""
    return (
        "⚠️ Temporary connectivity issue\n"
        "Your request is being processed. Please check case status in a few moments\n"
        f"Error ID: {error_id}"
    )


# For these commands there is no case to check.
_PRESS_AGAIN = "press the button again if the message still shows it (ir-router records only one decision)"
_WHERE_TO_LOOK = {
    "create": (
        f"{COMMAND} create",
        "look for the case in AWS Security Incident Response, and repeat the command if it does not exist",
    ),
    "approve": ("Approve", _PRESS_AGAIN),
    "deny": ("Deny", _PRESS_AGAIN),
}


def outcome_unknown(name: str, error_id: str) -> str:
    """Return the error for an unknown outcome after all attempts. `name` is the command's, or `approve` or `deny`."""
    shown, look = _WHERE_TO_LOOK.get(
        name, (f"{COMMAND} {name}", f"check the case ({COMMAND} status), and repeat the command if it had no effect")
    )
    return (
        f"❌ {shown}: the outcome is unknown after several attempts, and ir-router does not retry it\n"
        f"Please {look}\nError ID: {error_id}"
    )


def help_text() -> str:
    """Return the answer to `help`: all sub-commands, one line each."""
    lines = [f"• {entry.usage} - {entry.purpose}" for entry in SUB_COMMANDS.values()]
    statuses = "Status: Open, In Progress, Resolved, Closed, or AWS's own names (Detection and Analysis...)"
    permitted = (
        "Watchers, the incident response team and configured editors can change a case. "
        "Watchers cannot close or escalate it, or remove watchers. Everyone in the channel can read it"
    )
    return "\n".join(("📖 AWS Security Incident Response", *lines, "", statuses, permitted))


def unknown(name: str) -> str:
    """Return the error for an unknown sub-command, with the most similar one."""
    near = difflib.get_close_matches(name[:_NAME_LENGTH], SUB_COMMANDS, n=1)
    suggestion = f"Did you mean {COMMAND} {near[0]}?\n" if near else ""
    return f'Unknown command "{shorten(name, _NAME_LENGTH)}"\n{suggestion}Usage: {COMMAND} [{"|".join(SUB_COMMANDS)}]'
