"""The report as one HTML page: without scripts and external files, readable on a phone and printable on A4. Pure.

Every text is escaped. The page ends without its closing tags: `sealing.seal` adds the proof and closes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ir_router import links
from ir_router.report.document import head, listed, pairs, section, table

_TIMES = {
    "contain": "Event to containment",
    "ask": "Containment to approval request",
    "decide": "Approval request to decision",
    "close": "Case opened to case closed",
}
_REASONS = {
    "requested": "on request",
    "closed": "when the case was closed",
    "closing": "before ir-router closes the case",
}
_SAME = {"approve": "Approved", "deny": "Denied", "release": "Released"}


def render(report: Mapping[str, Any]) -> str:
    """Return the page of a report (see docs/report.md), without its end."""
    case = report["case"]
    title = f"Report {report['version']} about case {case['id']}"
    origin = f"made {_at(report['made_at'])} {_REASONS[report['reason']]}{_by(report['requested_by'])}"
    parts = [
        f"<h1>{escape(str(case['title']))}</h1>",
        f'<p class="small">{escape(title)}, {origin}</p>',
        _facts(case),
        section("Times", table(("time", "duration", "from (UTC)", "to (UTC)"), _durations(report["durations"]))),
        section("Open follow-ups", listed(report["follow_ups"], "None.")),
        section("Decisions", *(_decision(one) for one in report["decisions"])),
        section("Activity of the contained credentials", _activity(report["activity"])),
        section("Timeline", table(("time (UTC)", "kind", "what", "by"), _timeline(report["timeline"]))),
        section("Evidence", table(("file", "added", "by", "scan", "SHA-256"), _evidence(report["evidence"]))),
        section("Audit records", _audit(report["audit"])),
        section("Limits of this report", listed(report["limits"], "None known.")),
        section(
            "Proof",
            "<p>This file ends with the audit record of the report, which has the SHA-256 of the rest of the file. "
            "<code>ir-router report verify FILE</code> checks both, and fails if one byte was changed. "
            "The page docs/report.md of ir-router describes the limits of this proof.</p>",
        ),
    ]
    return "\n".join([head(title), *parts, ""])


def _at(text: object) -> str:
    return f"{_bare(text)} UTC" if text else ""


def _bare(text: object) -> str:
    return escape(str(text).replace("T", " ").removesuffix("Z"))


def _by(name: object) -> str:
    return f", requested by {escape(str(name))}" if name else ""


def _facts(case: Mapping[str, Any]) -> str:
    address = links.case(str(case["id"]), str(case["region"]))
    lines = [
        ("Case", f'<a href="{escape(address)}">{escape(str(case["id"]))}</a>'),
        ("Status", escape(str(case["status"]))),
        ("Closure code", escape(str(case["closure_code"] or ""))),
        ("Severity", escape(str(case["severity"]))),
        ("Opened", _at(case["created_at"])),
        ("Closed", _at(case["closed_at"])),
        ("Accounts", escape(", ".join(case["accounts"]))),
        ("Regions", escape(", ".join(case["regions"]))),
        ("Services", escape(", ".join(case["services"]))),
        ("Addresses", escape(", ".join(case["addresses"]))),
        ("Watchers", escape(", ".join(case["watchers"]))),
    ]
    return pairs(lines)


def _durations(found: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [escape(_TIMES[one["time_to"]]), duration(int(one["seconds"])), _bare(one["from"]), _bare(one["to"])]
        for one in found
    ]


def duration(seconds: int) -> str:
    """Return a duration in words: `4 s`, `3 min 20 s`, `2 h 5 min`, `3 days 4 h`."""
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days} {'day' if days == 1 else 'days'} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def _decision(one: Mapping[str, Any]) -> str:
    saw = one["information"]
    title = _SAME.get(str(one["decision"]), "Not decided")
    by = f" by {one['by']}" if one["by"] else ""
    lines = [
        ("Decided", _at(one["decided_at"])),
        ("Asked", _at(one.get("asked_at"))),
        ("Decide by", "" if one["decided_at"] else _at(one.get("decide_by"))),
        ("Sent from", escape(str(one.get("via") or ""))),
        ("Reason", escape(str(one["reason"]))),
        ("Shown: event", escape(str(saw.get("what") or ""))),
        ("Shown: done", escape("\n".join(map(str, saw.get("done") or [])))),
        ("Shown: approve", escape(str(saw.get("approve_does") or ""))),
        ("Shown: deny", escape(str(saw.get("deny_does") or ""))),
        ("Joined events seen", escape(str(saw.get("joined_events_seen") or ""))),
        ("Principals", escape("\n".join(map(str, saw.get("principals") or [])))),
        ("Result", escape(str(one["result"] or ""))),
    ]
    return f"<h3>{escape(f'{title}{by}')}: {escape(str(saw.get('headline') or one['kind']))}</h3>{pairs(lines)}"


def _activity(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "<p>No credentials were contained, or their calls are no longer stored.</p>"
    after = found["after_containment"]
    counts = ", ".join(f"{number} {name}" for name, number in after.items())
    facts = [
        ("Calls", f"{found['calls']:,}"),
        ("First", _at(found["first_at"])),
        ("Last", _at(found["last_at"])),
        ("After containment", escape(counts)),
        ("Addresses", escape(", ".join(f"{name} ({number})" for name, number in found["addresses"].items()))),
        ("User agents", escape(", ".join(f"{name} ({number})" for name, number in found["agents"].items()))),
        ("Read", escape("\n".join(found["read"]))),
        ("Not complete", escape("\n".join(found["not_complete"]))),
        ("Source", f"CloudTrail in {escape(', '.join(found['regions']))}, read {_at(found['read_at'])}"),
    ]
    rows = [
        [escape(str(one["service"])), escape(str(one["region"]))]
        + [str(one.get(name, 0)) for name in ("succeeded", "denied", "failed")]
        for one in found["services"]
    ]
    services = table(("service", "region", "succeeded", "denied", "failed"), rows)
    undone = [f"{one['what']}. To undo: {one['undo']}" for one in found["not_undone"]]
    return f"{pairs(facts)}{services}<h3>Not undone by the containment</h3>{listed(undone, 'None known.')}"


def _timeline(found: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            _bare(one["at"]),
            escape(str(one["kind"])),
            escape(str(one["what"])),
            escape(str(one["by"] or "")),
        ]
        for one in found
    ]


def _evidence(found: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            escape(str(one["name"])),
            _at(one["added_at"]),
            escape(str(one["by"] or "")),
            escape(str(one["scan"])),
            f"<code>{escape(str(one['sha256']))}</code>" if one["sha256"] else "not copied by ir-router",
        ]
        for one in found
    ]


def _audit(found: Mapping[str, Any]) -> str:
    rows = [
        [
            _at(str(one["at"]).partition(".")[0]),
            escape(str(one["action"]).replace("_", " ")),
            escape(str(one["actor"])),
            escape(f"{one['month']} {one['sequence']}, chain {one.get('chain', 0)}"),
            f"<code>{escape(str(one['hash']))}</code>",
        ]
        for one in found["records"]
    ]
    checked = [
        f"Chain {one['chain']}: {one['records']} records from {one['first']} to {one['last']}: "
        f"{'unchanged and complete' if one['broken'] is None else one['broken']}"
        for one in found["chains"]
    ]
    return (
        table(("time (UTC)", "action", "by", "record", "hash"), rows)
        + "<h3>Chains that were checked when the report was made</h3>"
        + listed(checked, "None.")
    )
