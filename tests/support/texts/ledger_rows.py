"""Requests about claims, leases, events and other rows that the ledger sends to DynamoDB, and their results."""

from __future__ import annotations

from typing import Any

from ir_router.ledger import (
    activity,
    alerts,
    allowlist,
    allowlisted_hours,
    claims,
    configuration,
    groups,
    incidents,
    joined_events,
    keys,
    leases,
    member_activity,
    reports,
    table,
    urgent,
)
from ir_router.ledger.alerts import Alert
from ir_router.ledger.claims import Claim
from ir_router.ledger.leases import Lease
from tests.support.requests_to_aws import NOW, CancelledError, conflict, requests
from tests.support.texts.ledger_approvals import FAILED, HELD, ROW, USER, Cases

KEY = keys.Key("K", "S")


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    cases = _claims() | _leases() | _events() | _rows()
    return {name: requests(call, *answers) for name, (call, answers) in cases.items()}


def _claims() -> Cases:
    claim = Claim(KEY, 2, must_look=False, row={})
    mine = {"state": "claimed", "attempt": 3, "holder": "own", "settle_after": NOW}
    of_another = {**mine, "holder": "other"}
    two: Any = [(KEY, {"a": 1}), (keys.Key("K2", "S"), {"b": 2})]

    def take() -> Any:
        return claims.take(KEY, settle_after=NOW + 60, text="t")

    def shown(found: Any) -> Any:
        return None if found is None else [vars(one) for one in found]

    return {
        "claim": (lambda: vars(take()), []),
        "claim, done": (lambda: vars(take()), [conflict(state="done", a=1)]),
        "claim, own": (lambda: vars(take()), [conflict(**{**mine, "settle_after": NOW + 1})]),
        "claim, held": (lambda: vars(take()), [conflict(**{**of_another, "settle_after": NOW + 0.1})]),
        "claim, taken over": (lambda: vars(take()), [conflict(**of_another), {"attempt": 4}]),
        "claim, refused": (
            lambda: vars(take()),
            [conflict(**{**of_another, "settle_after": NOW + 9, "refused": True}), {"attempt": 4}],
        ),
        "claim, lost": (lambda: vars(take()), [conflict(**of_another), conflict(state="done", a=1)]),
        "claim, lost to a holder": (lambda: vars(take()), [conflict(**of_another), conflict(settle_after=NOW + 7)]),
        "claim, deleted": (lambda: vars(take()), [conflict(**of_another), conflict()]),
        "claims of one": (lambda: shown(claims.take_together(two[:1], settle_after=NOW)), []),
        "claims of one, own": (
            lambda: shown(claims.take_together(two[:1], settle_after=NOW)),
            [conflict(holder="own")],
        ),
        "claims of one, taken": (
            lambda: shown(claims.take_together(two[:1], settle_after=NOW)),
            [conflict(holder="o")],
        ),
        "claims": (lambda: shown(claims.take_together(two, settle_after=NOW)), []),
        "claims, taken": (lambda: shown(claims.take_together(two, settle_after=NOW)), [CancelledError(FAILED, HELD)]),
        "confirm": (lambda: claims.confirm(claim, ts="1", state="s"), []),
        "confirm, repeated": (lambda: claims.confirm(claim), [conflict(state="done", attempt=2)]),
        "confirm, by another": (lambda: claims.confirm(claim), [conflict(state="done", attempt=3)]),
        "confirm, lost": (lambda: claims.confirm(claim), [conflict(state="claimed", attempt=2)]),
        "confirm in a transaction": (lambda: claims.confirm_item(claim, {"ts": "1"}), []),
        "note": (lambda: claims.note(claim, file="F", state="s"), []),
        "note, lost": (lambda: claims.note(claim, file="F"), [conflict()]),
        "unanswered": (lambda: claims.unanswered(claim, NOW), []),
        "ended": (lambda: claims.ended(KEY, 2, taken=NOW + 9, settle_after=NOW), []),
        "ended, of any attempt": (lambda: claims.ended(KEY, None, taken=NOW + 9, settle_after=NOW), []),
        "ended, lost": (lambda: claims.ended(KEY, 2, taken=NOW + 9, settle_after=NOW), [conflict()]),
        "refused": (lambda: claims.refused(claim), []),
        "given up": (lambda: claims.refused(claim, "code"), []),
    }


def _leases() -> Cases:
    def lease() -> Lease:
        return Lease("12", 4, NOW + 60, 6, {})

    def refreshed() -> Any:
        one = lease()
        leases.refresh_hints(one)
        return vars(one)

    released = {"fence": 4, "synced_hints": 6}
    return {
        "hint": (lambda: leases.add_hint("12"), [{"hints": 1}]),
        "hint for comments": (lambda: leases.add_hint("12", compares_comments=True), []),
        "lease": (lambda: vars(leases.take("12", NOW + 60)), [{"fence": 2, "hints": 3}]),
        "lease, own": (lambda: vars(leases.take("12", NOW + 60)), [conflict(fence=2, lease_holder="own")]),
        "lease, busy": (lambda: leases.take("12", NOW + 60), [conflict(fence=2, lease_holder="other")]),
        "lease, refreshed": (refreshed, [{"fence": 4, "hints": 9}]),
        "lease, refreshed without hints": (refreshed, [{"fence": 4}]),
        "lease, refreshed too late": (refreshed, [{"fence": 5}]),
        "lease, refreshed after its end": (refreshed, []),
        "lease, saved": (lambda: leases.save(lease(), a=1, b=None, state=2), []),
        "lease, saved nothing": (lambda: leases.save(lease(), b=None), [conflict()]),
        "complete": (lambda: leases.complete("12", {"title": "t", "status": "s"}, "new", instead_of="old"), [{"a": 1}]),
        "complete, changed": (lambda: leases.complete("12", {"a": "t"}, "new", instead_of="old"), [conflict(a=1)]),
        "lease, synchronised": (lambda: leases.release_synced(lease(), a=1, b=None), []),
        "lease, with a hint": (
            lambda: leases.release_synced(lease()),
            [conflict(), {"fence": 4, "lease_until": 1, "synced_hints": 6}],
        ),
        "lease, synchronised before": (lambda: leases.release_synced(lease()), [conflict(), released]),
        "lease, lost": (lambda: leases.release_synced(lease()), [conflict(), {**released, "fence": 5}]),
        "lease, lost to a hint": (
            lambda: leases.release_synced(lease()),
            [conflict(), {**released, "synced_hints": 5}],
        ),
        "lease, of a lost row": (lambda: leases.release_synced(lease()), [conflict()]),
        "lease, unfinished": (lambda: leases.release_unfinished(lease(), next_try=NOW, a=1, b=None), []),
        "lease, deleted": (lambda: leases.delete(lease()), []),
        "lease, deleted too late": (lambda: leases.delete(lease()), [conflict()]),
    }


def _events() -> Cases:
    event = {"execution": "x2", "what": "w"}
    change: Any = {"Update": {"of": "the principal"}}
    opener = {"execution": "x0", "until": NOW + 5}
    hour = {
        "PK": "P",
        "SK": "S",
        "started": "2026-01-15T16:00Z",
        "allowed_by": "e",
        "because": "b",
        "events": 2,
        "ids_sum": 255,
        "callers": {"b", "a"},
    }

    def note(**more: Any) -> Any:
        return joined_events.note("a1", event, **more)

    def adding(callers: set[str], detections: set[str]) -> Any:
        return allowlisted_hours.adding("e", "because", ["1", "2"], callers, {"c0"}, detections)

    return {
        "joins": (note, [{"joined_events": 19}]),
        "joins, summarised": (lambda: note(more={"owners": {"o"}, "none": set()}), [{"joined_events": 20}]),
        "joins with a principal": (lambda: note(principal=USER, with_row=change), [{"joined_events": 20}]),
        "joins, counted before": (note, [None, CancelledError(FAILED, HELD)]),
        "joins, before the request": (note, [None, CancelledError(HELD, FAILED)]),
        "joins, decided": (note, [None, CancelledError(HELD, FAILED), ROW]),
        "joins, not taken": (lambda: note(principal=USER, with_row=change), [None, CancelledError(HELD, FAILED, HELD)]),
        "joins, another time": (
            lambda: note(principal=USER, with_row=change),
            [None, CancelledError(FAILED, HELD, HELD)],
        ),
        "joins, another time in vain": (
            lambda: note(principal=USER, with_row=change),
            [None, CancelledError(FAILED, HELD, HELD), CancelledError(FAILED, HELD)],
        ),
        "remember": (lambda: joined_events.remember("a1", "x2"), []),
        "request of": (lambda: joined_events.request_of("x2"), [{"approval_id": "a1"}, {"a": 1}]),
        "request of its own": (lambda: joined_events.request_of("x2"), []),
        "enter": (lambda: groups.enter("g", "x1"), []),
        "enter, open": (lambda: groups.enter("g", "x1", instead_of="x0"), [conflict(**opener)]),
        "open": (lambda: groups.opening("g", "x1", None, takes_over=True), []),
        "open, another": (lambda: groups.opening("g", "x1", opener, takes_over=False), []),
        "open, and take over": (lambda: groups.opening("g", "x1", opener, takes_over=True), []),
        "open, and continue": (lambda: groups.opening("g", "x1", {**opener, "counted_in": "x1"}, takes_over=True), []),
        "group, annotated": (lambda: groups.annotate("g", "x0", "SET a = :a", a=1), [{"a": 1}]),
        "count": (lambda: groups.count("x0", "x1"), []),
        "count a caller": (lambda: groups.count("x0", "x1", "c"), [{"callers": set("abcdefghijklmnopqrs")}]),
        "count one more caller": (lambda: groups.count("x0", "x1", "c"), [{"callers": set("abcdefghijklmnopqrst")}]),
        "count once": (lambda: groups.count("x0", "x1"), [CancelledError(FAILED, HELD)]),
        "count, reported": (lambda: groups.count("x0", "x1"), [CancelledError(HELD, FAILED)]),
        "counting": (lambda: groups.counting("x0", "12"), []),
        "adding": (lambda: groups.adding("x0", 3, {"b", "a"}, {"a"}), []),
        "adding the known": (lambda: groups.adding("x0", 3, {"a"}, {"a"}), []),
        "reported": (lambda: groups.reported("x0"), [None, {"events": 4}]),
        "reported of another": (lambda: groups.reported("x0"), [{"counted_in": "x9"}, {"a": 1}]),
        "reported by another": (lambda: groups.reported("x0"), [None, conflict()]),
        "allowed": (lambda: adding({"c1", "c0"}, {"d"}), []),
        "allowed, bare": (lambda: adding({"c0"}, set()), []),
        "allowed, callers": (lambda: sorted(allowlisted_hours.callers("e")), [{"callers": {"a", "b"}}]),
        "allowed, no callers": (lambda: sorted(allowlisted_hours.callers("e")), []),
        "allowed, recorded": (allowlisted_hours.record_ended, [[hour, {**hour, "started": "2026-01-15T18:00Z"}]]),
        "allowed, recorded before": (
            allowlisted_hours.record_ended,
            [[hour, {**hour, "detections": {"d"}}], None, CancelledError(FAILED, HELD, HELD)],
        ),
        "allowed, digests": (lambda: [allowlisted_hours.digest("ab"), allowlisted_hours.digest_of_sum(2**96 + 1)], []),
    }


def _rows() -> Cases:
    alert = Alert("a", "HIGH", "s", "t")
    more = Alert("a", "HIGH", "s", "t", "12", "x1", ("p",), "allow", mention=True)
    of_case = {"case_id": "12", **ROW}
    result = {**of_case, "state": "delivered", "result": "r"}
    shown = {"execution": "x1", "kind": "remediate", "phase": "contained", "result": ""}
    messages = {**ROW, "urgent": [{"name": "n", "text": "t", "at": NOW}]}
    credentials = [{"arn": "p2", "name": "n"}, {"arn": "p1", "name": "new"}]
    known = {"credentials": [{"arn": "p1", "name": "old"}, {"arn": "p0"}]}
    waits = [
        {"SK": "1", "wanted_at": 5, "tried_at": 9},
        {"SK": "2", "wanted_at": 8},
        {"SK": "3", "wanted_at": 7, "done_at": 7},
        {"SK": "4", "wanted_at": 7, "done_at": 6.9},
        {"SK": "5"},
    ]
    return {
        "alert": (lambda: alerts.note(alert), []),
        "alert, noted": (lambda: alerts.note(more), [conflict()]),
        "alert, read": (lambda: alerts.get("n"), [{"a": 1}]),
        "entry": (lambda: allowlist.add("ip", "1.2.3.4", "r", "Jane", None), []),
        "entry with an end": (lambda: allowlist.add("principal", "p", "r", "Jane", 9), []),
        "entry, removed": (lambda: allowlist.remove("ip", "1.2.3.4", "r", "Jane"), []),
        "entry, missing": (lambda: allowlist.remove("ip", "1", "r", "J"), [None, CancelledError(FAILED, HELD, HELD)]),
        "activity, watched": (lambda: activity.watch("12", credentials), [known]),
        "activity, watched first": (lambda: activity.watch("12", credentials), []),
        "activity, known": (lambda: activity.watch("12", [{"arn": "p0"}]), [known]),
        "activity, requested": (lambda: activity.request("12", NOW), []),
        "activity, not requested": (lambda: activity.request("12", NOW), [conflict()]),
        "activity, page": (lambda: activity.save_page("12", "n", [{"a": 1}]), []),
        "activity, calls": (lambda: activity.calls("12"), [[{"calls": [1, 2]}, {"calls": [3]}]]),
        "activity, erased": (lambda: activity.erase("12"), [[{"PK": "P", "SK": "S"}, {"PK": "P", "SK": "T"}]]),
        "members, wanted": (lambda: member_activity.want("12", [{"a": 1}], NOW, NOW + 1), []),
        "members, handed over": (lambda: member_activity.want("12", [], NOW, NOW, {"K": ("p", "1")}), []),
        "members, none": (lambda: member_activity.get("12"), []),
        "members, waiting": (member_activity.wanted, [waits]),
        "report": (lambda: reports.request("12", NOW, "Jane"), []),
        "report, none": (lambda: reports.get("12"), []),
        "report, erased": (lambda: reports.erase("12"), [[{"PK": "P", "SK": "S"}]]),
        "assign nothing": (lambda: table.assign(KEY, a=None), []),
        "assign both": (lambda: table.assign(KEY, a=None, b=1, state=2, c=None), []),
        "incident": (lambda: incidents.note(of_case), [{"approval_a1": {**shown, "phase": "kept"}}]),
        "incident, known": (lambda: incidents.note(of_case), [{"approval_a1": shown}]),
        "incident without a case": (lambda: incidents.note({**ROW, "case_id": None}), []),
        "incident with a result": (lambda: incidents.note(result), []),
        "incident of a permission": (lambda: incidents.note({**result, "kind": "contain", "decision": "approve"}), []),
        "incident of a denial": (lambda: incidents.note({**result, "kind": "contain", "decision": "deny"}), []),
        "incident that expired": (lambda: incidents.note({**result, "state": "expired"}), []),
        "incident without a result": (lambda: incidents.note({**result, "result": ""}), []),
        "incident with an early result": (lambda: incidents.note({**result, "state": "decided"}), []),
        "incident, asked": (lambda: incidents.note({**of_case, "kind": "contain"}), []),
        "incident, saved": (lambda: incidents.save("12", a=1, b=2), []),
        "urgent": (lambda: urgent.note("a1", "n2", "t"), [ROW]),
        "urgent, more": (lambda: urgent.note("a1", "n2", "t"), [messages, conflict(), messages]),
        "urgent, known": (lambda: urgent.note("a1", "n", "t"), [messages]),
        "urgent, unknown": (lambda: urgent.note("a1", "n", "t"), []),
        "urgent, kept": (lambda: urgent.keep("a1"), [ROW]),
        "urgent, kept unknown": (lambda: urgent.keep("a1"), [None, conflict()]),
        "urgent, ended": (lambda: urgent.end(ROW), []),
        "urgent, ended with messages": (lambda: urgent.end(messages), [conflict()]),
        "detections": (configuration.extra_detections, [{"entries": '[{"a": 1}]'}]),
        "detections, missing": (configuration.extra_detections, []),
        "entries": (configuration.protected_entries, [{"protected_entries": '{"a": ["b"]}'}]),
        "entries, missing": (
            lambda: [configuration.protected_entries(), configuration.protected_entries()],
            [{"a": 1}],
        ),
        "organization": (configuration.organization_id, [{"organization_id": "o-1"}]),
        "organization, missing": (
            lambda: [configuration.organization_id(), configuration.organization_id()],
            [{"organization_id": ""}],
        ),
        "key": (configuration.workflow_key_arn, [{"workflow_arn": "k"}]),
        "key, missing": (configuration.workflow_key_arn, [{"arn": "k"}]),
        "keys": (configuration.kms_key_arns, [{"workflow_arn": "k", "arn": "l"}]),
        "keys, one": (lambda: [configuration.kms_key_arns(), configuration.kms_key_arns()], [{"workflow_arn": "k"}]),
    }
