"""The answers of `/security-ir`, as the specification shows them. Pure: plain text, escaped where it is sent.

The specification's section "Slash Commands for Case Management" gives labels, order, emoji and wording; statuses are
shown with AWS's word behind the specification's (`In Progress (Detection and Analysis)`).
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
    """A time as the specification writes it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "Unknown"


def people(count: int) -> str:
    """`3 users`."""
    return _count(count, "user")


def files(count: int) -> str:
    """`2 files`."""
    return _count(count, "file")


def duration(seconds: float) -> str:
    """Two units at most: `3 hours 30 minutes`, `2 days 1 hour`, `less than a minute`."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    units = (("day", minutes // 1440), ("hour", minutes // 60 % 24), ("minute", minutes % 60))
    first = next(index for index, (_, amount) in enumerate(units) if amount)
    return " ".join(_count(amount, name) for name, amount in units[first : first + 2] if amount)


def _count(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def case_status(case: Case, severity: str) -> str:
    """The answer to `status`."""
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
    """The answer to `update-status`; `shown` is the status in the words that were asked for."""
    return f'✅ Case status updated to "{shown}"\n{_signed(by, at)}'


def description_updated(description: str, by: str, at: datetime) -> str:
    """The answer to `update-description`."""
    shown = shorten(description, _DESCRIPTION_LENGTH, _ON_THE_CASE)
    return f'✅ Case description updated\nNew description: "{shown}"\n{_signed(by, at)}'


def title_updated(old: str, new: str, by: str, at: datetime) -> str:
    """The answer to `update-title`."""
    return f'✅ Case title updated\nOld title: "{old}"\nNew title: "{new}"\n{_signed(by, at)}'


def unchanged(label: str, shown: str) -> str:
    """The answer to a change to what the case has already."""
    return f'✅ Case {label} is already "{shorten(shown, _DESCRIPTION_LENGTH, _ON_THE_CASE)}"\nNothing was changed'


def closed(case_id: str, by: str, at: datetime) -> str:
    """The answer to a confirmed `close`."""
    return (
        f"🔒 Case closed successfully\nCase ID: {case_id}\n{_signed(by, at, 'Closed by')}\n"
        "Channel will remain active for reference"
    )


def already_closed(case: Case) -> str:
    """The answer to `close` for a closed case."""
    return (
        f"🔒 Case is already closed\nCase ID: {case.case_id}\nClosed: {moment(case.closed_date)}\n"
        "A closed case cannot be reopened"
    )


def cannot_change_closed(case: Case) -> str:
    """Why a closed case stays as it is."""
    return (
        f"Case is closed and cannot be changed or reopened\nClosed: {moment(case.closed_date)}\n"
        f"{COMMAND} create opens a new case"
    )


def invalid_status() -> str:
    """The specification's error."""
    return f"Invalid status. Valid options: {', '.join(status.SPECIFIED)}"


def status_of_aws(wanted: str) -> str:
    """A status that AWS alone sets."""
    return f"{wanted} is set by AWS alone. Valid options: {', '.join(status.SPECIFIED)}"


def aws_supported() -> str:
    """The status of a case that AWS's responders resolve."""
    return (
        "The status of this case is set by AWS: it is an AWS-supported case, and only the status of self-managed cases "
        f"can be updated\n{COMMAND} close closes it; {COMMAND} comment tells AWS's responders what you need"
    )


def no_way(now: str, wanted: str, possible: Sequence[str]) -> str:
    """A move between statuses that AWS refuses."""
    ways = f"From here it can go to: {', '.join(map(status.shown, possible))}" if possible else ""
    return (
        f"AWS Security Incident Response does not move a case from {status.shown(now)} to {status.shown(wanted)}\n"
        f"{ways or 'Nothing was changed'}"
    )


def too_long(label: str, length: int, limit: int) -> str:
    """A text over AWS's limit."""
    return (
        f"The {label} has {length:,} characters; AWS Security Incident Response takes at most {limit:,}\n"
        "Nothing was changed"
    )


def overtaken(label: str, now: str) -> str:
    """Somebody else changed it between two attempts."""
    return (
        f'The case {label} was changed meanwhile, to "{shorten(now, _DESCRIPTION_LENGTH, _ON_THE_CASE)}"\n'
        "Your change was not made; repeat it if it still holds"
    )


def watchers_changed(done: str, shown: str, by: str, at: datetime) -> str:
    """The answer to `add-watcher` and `remove-watcher`."""
    return f"✅ Watchers {done}\n{done.capitalize()}: {shown}\n{_signed(by, at)}"


def already_watching(shown: str) -> str:
    """Everybody named watches the case already."""
    return f"✅ Already watching: {shown}\nNothing was changed"


def not_watching() -> str:
    """Nobody named watches the case."""
    return "✅ None of these people watches the case\nNothing was changed"


def too_many_watchers(present: int, limit: int) -> str:
    """A list that AWS would refuse."""
    return f"A case has at most {limit} watchers and this one has {present}\nNothing was changed"


def no_address(name: str) -> str:
    """A person whom AWS could not write to."""
    return f"Slack shows no e-mail address of {name}, and a watcher needs one\nNothing was changed"


def not_a_person(word: str) -> str:
    """Neither a mention nor an address."""
    return (
        f'"{shorten(word, _NAME_LENGTH)}" is neither a person chosen with @ nor an e-mail address\nNothing was changed'
    )


def commented(by: str, at: datetime) -> str:
    """The answer to `comment`."""
    return f"✅ Comment added to the case, not to the channel\n{_signed(by, at, 'Added by')}"


def created(case_id: str, title: str, by: str, at: datetime, unreachable: Sequence[str]) -> str:
    """The answer to a submitted `create` form; the channel follows it."""
    left_out = f"\nNot watching, as Slack shows no e-mail address: {', '.join(unreachable)}" if unreachable else ""
    return f"✅ Case opened\nCase ID: {case_id}\nTitle: {title}\n{_signed(by, at, 'Opened by')}{left_out}"


def may_not_create() -> str:
    """A person who may open no case."""
    return "You don't have permission to open cases\nContact your administrator for access"


def missing(entry: SubCommand) -> str:
    """A sub-command without its argument."""
    return f"Please specify {entry.asks_for}. Usage: {entry.usage}"


def wrong_channel(prefix: str) -> str:
    """The specification's error."""
    return f"This command can only be used in AWS Security IR incident channels\nChannel name must start with: {prefix}"


def not_permitted() -> str:
    """The specification's error."""
    return "You don't have permission to modify this case\nContact your administrator or case owner for access"


def service_error(error_id: str, attempted: str) -> str:
    """The specification's error; `attempted` is its `update`, or `read` or `open`."""
    return (
        f"❌ Unable to {attempted} case due to service error\nError ID: {error_id}\nPlease try again or contact support"
    )


def connectivity(error_id: str) -> str:
    """The specification's warning: the work goes on behind the scenes."""
    return (
        "⚠️ Temporary connectivity issue\n"
        "Your request is being processed. Please check case status in a few moments\n"
        f"Error ID: {error_id}"
    )


# Whoever opened a case that did not come back, or decided, has no case to ask about.
_WHERE_TO_LOOK = {
    "create": (
        f"{COMMAND} create",
        "look for the case in AWS Security Incident Response and repeat the command if there is none",
    ),
    "approve": ("Approve", "press again if the message still has its buttons: a decision is taken once"),
    "deny": ("Deny", "press again if the message still has its buttons: a decision is taken once"),
}


def outcome_unknown(name: str, error_id: str) -> str:
    """No certain answer after all attempts: a person must look. `name` is the command's, or `approve` or `deny`."""
    shown, look = _WHERE_TO_LOOK.get(
        name, (f"{COMMAND} {name}", f"check the case ({COMMAND} status) and repeat the command if it had no effect")
    )
    return (
        f"❌ {shown}: no certain answer after several attempts; it is not tried again\n"
        f"Please {look}\nError ID: {error_id}"
    )


def help_text() -> str:
    """All sub-commands, one line each."""
    lines = [f"• {entry.usage} - {entry.purpose}" for entry in SUB_COMMANDS.values()]
    vocabulary = "Status: Open, In Progress, Resolved or Closed, or AWS's own words (Detection and Analysis...)"
    rights = (
        "Watchers, the incident response team and configured editors may change a case; "
        "everybody in the channel may read it"
    )
    return "\n".join(("📖 AWS Security Incident Response", *lines, "", vocabulary, rights))


def unknown(name: str) -> str:
    """A sub-command that there is not, with the nearest that there is."""
    near = difflib.get_close_matches(name[:_NAME_LENGTH], SUB_COMMANDS, n=1)
    suggestion = f"Did you mean {COMMAND} {near[0]}?\n" if near else ""
    return f'Unknown command "{shorten(name, _NAME_LENGTH)}"\n{suggestion}Usage: {COMMAND} [{"|".join(SUB_COMMANDS)}]'
