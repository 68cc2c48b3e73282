"""The calls of contained credentials as one HTML page: the numbers, then every call, oldest first. Pure.

Every text is escaped, because a caller chooses its user agent and the names in a request.
"""

from __future__ import annotations

from html import escape

from ir_router.cases import activity as numbers
from ir_router.cases.activity import Activity
from ir_router.cases.trail_calls import TrailCall
from ir_router.report.document import head, listed, pairs, section, table

_END = "</body></html>\n"
_STYLE = """
body { max-width: 90rem; }
tr.after td { background: #fff8c5; }
@page { size: A4 landscape; }
@media print { html { font-size: 8pt; } }
"""
_COLUMNS = ("time (UTC)", "call", "region", "result", "from", "caller", "contained principal", "event id")


def render(case_id: str, activity: Activity) -> str:
    """Return the page."""
    title = f"Calls of the contained credentials of case {case_id}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _facts(activity),
        section("Not complete", listed(activity.scope.limited, "")) if activity.scope.limited else "",
        section(
            "Not undone by the containment", listed([numbers.undo(one) for one in activity.lasting], "None known.")
        ),
        section("Secrets and parameters that were read", listed(activity.read, "None known.")),
        section("Calls by service, Region and result", _services(activity)),
        section("Every call", '<p class="small">Calls after the containment are yellow.</p>', _calls(activity)),
    ]
    return "\n".join([head(title, _STYLE), *filter(None, parts), _END])


def _facts(activity: Activity) -> str:
    calls, scope = activity.calls, activity.scope
    after = {name: len(activity.after(name)) for name in ("succeeded", "denied", "failed")}
    lines = [
        ("Calls", f"{len(calls):,}"),
        ("First", _at(calls[0].at) if calls else ""),
        ("Last", _at(calls[-1].at) if calls else ""),
        ("After containment", ", ".join(f"{number} {name}" for name, number in after.items())),
        ("Contained", escape("\n".join(f"{arn}, {_at(at)}" for arn, at in scope.contained_at.items()))),
        ("Addresses", _counted(activity.addresses().most_common())),
        ("User agents", _counted(activity.agents().most_common())),
        ("Looked up", escape("\n".join(scope.keys))),
        ("Source", f"CloudTrail in {escape(scope.places)}, since {_at(scope.since)}"),
        ("Read", _at(scope.read_at)),
    ]
    return pairs(lines)


def _at(seconds: float) -> str:
    return f"{numbers.utc(seconds)} UTC"


def _counted(found: list[tuple[str, int]]) -> str:
    return escape("\n".join(f"{name} ({number:,})" for name, number in found))


def _services(activity: Activity) -> str:
    rows = [
        [escape(service), escape(region), *(f"{counts[name]:,}" for name in ("succeeded", "denied", "failed"))]
        for service, region, counts in activity.table()
    ]
    return table(("service", "region", "succeeded", "denied", "failed"), rows)


def _calls(activity: Activity) -> str:
    marked = [index for index, call in enumerate(activity.calls) if activity.is_after(call)]
    return table(_COLUMNS, [_call(call) for call in activity.calls], dict.fromkeys(marked, "after"))


def _call(call: TrailCall) -> list[str]:
    return [
        escape(numbers.utc(call.at)),
        escape(f"{call.service} {call.name}"),
        escape(call.region),
        escape(f"{call.result} ({call.error})" if call.error else call.result),
        f'<span class="address">{escape(call.address)}</span><br>{escape(call.agent)}',
        f"{escape(call.caller)}<br>{escape(call.key)}",
        escape(call.of),
        f"<code>{escape(call.event_id)}</code>",
    ]
