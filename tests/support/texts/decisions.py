"""Texts of approval requests, decisions and their results."""

from __future__ import annotations

import json
from typing import Any

from ir_router.workflow import wording_decisions as wording
from tests.support.texts import facts
from tests.support.texts.facts import CONTAINED, FAILED, INCIDENT, PARTLY, ROLE

_MANY = [facts.part(facts.principal("user", name), named_keys=[f"AKIA{name}"]) for name in "abcd"]
_SEALED = facts.part(sealed_keys=["AKIA2"], keys={"AKIA2": "Active", "AKIA5": "Active"})
_SEALED_WITHOUT_OWN = facts.part(sealed_keys=["AKIA2"])
_REFUSED = facts.part(deny_refused=True)
_ROLE = facts.part(ROLE, keys={}, named_keys=[])
_BOB = {"who": "user bob", "arn": "arn:aws:iam::111122223333:user/bob"}
_CREATORS = {"c1": {**_BOB, "note": "n", "does": "contains user bob."}, "c2": {**_BOB, "note": "n"}}


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    return {
        "times": f"{wording.at(1_768_480_259)}\n{wording.iso(1_768_480_259)}",
        **_requests(),
        **_effects(),
        **_outcomes(),
        "release commands": "\n\n".join(
            wording.release_commands([part["principal"]["arn"] for part in parts]) for parts in (_MANY[:2], _MANY)
        ),
    }


def _requests() -> dict[str, Any]:
    asked = facts.result(facts.part(ROLE, "ask_first", keys={}, named_keys=[]), outcome="ask_first")
    requests: dict[str, tuple[Any, Any, Any]] = {
        "after containment": (facts.result(CONTAINED, FAILED, creators=_CREATORS), "1234567890", "remediate"),
        "after partial containment": (facts.result(PARTLY), None, "remediate"),
        "about keys only": (facts.result(facts.KEY_ONLY), None, "remediate"),
        "for permission": (asked, None, "contain"),
        "for permission about a user": (
            facts.result(facts.part(outcome="ask_first"), CONTAINED, outcome="ask_first"),
            None,
            "contain",
        ),
    }
    return {
        f"request {name}": json.dumps(
            wording.approval_facts(INCIDENT, containment, case_id, kind), indent=1, ensure_ascii=False
        )
        for name, (containment, case_id, kind) in requests.items()
    } | {
        "request that is complete": json.dumps(wording.completely_contained([CONTAINED])),
        "current texts": "\n".join(
            json.dumps(wording.current_texts(parts, several=several))
            for parts, several in (([CONTAINED], False), ([_REFUSED, facts.KEY_ONLY, _ROLE], True), ([CONTAINED], True))
        ),
        "for readers of another request": "\n".join(
            wording.asked(facts.result(CONTAINED), case_id) for case_id in ("1234567890", None)
        ),
        "lines of the alert": "\n".join(
            [
                *wording.effects(facts.result(CONTAINED)),
                *wording.decision_lines(facts.result(CONTAINED, creators=_CREATORS), "0123456789abcdef0123"),
            ]
        ),
    }


def _effects() -> dict[str, Any]:
    inactive = facts.part(keys={"AKIA2": "Inactive"})
    attached = facts.part(keys={"AKIA2": "Active", "AKIA3": "Active"})
    attached["recorded"]["deny_attached"] = True
    groups: dict[str, Any] = {
        "one user": [CONTAINED],
        "inactive": [inactive],
        "denied before": [attached],
        "role": [_ROLE],
        "keys only": [facts.KEY_ONLY],
        "no key": [facts.part(scope="key", keys={})],
        "sealed": [_SEALED],
        "sealed with one more": [facts.part(sealed_keys=["AKIA2"], named_keys=["AKIA2", "AKIA5"])],
        "sealed with two more": [
            facts.part(sealed_keys=["AKIA2"], keys=dict.fromkeys(("AKIA2", "AKIA5", "AKIA6"), "Active"))
        ],
        "sealed without own": [_SEALED_WITHOUT_OWN],
        "two": [CONTAINED, facts.KEY_ONLY_BY_LIMIT],
        "many": _MANY,
        "many, one sealed": [*_MANY[:3], _SEALED],
    }
    return {
        f"effect of {decision}": "\n".join(f"{name}: {does(parts)}" for name, parts in groups.items())
        for decision, does in {
            "approve": lambda parts: wording.approve_does(parts, denied=True),
            "approve without the deny policy": lambda parts: wording.approve_does(parts, denied=False),
            "deny": wording.deny_does,
        }.items()
    }


def _outcomes() -> dict[str, Any]:
    jane = {"name": "Jane\nSmith", "via": "slack", "slack_user_id": "U1"}
    typed = {"name": "x" * 90, "via": "cli"}
    decisions: dict[str, Any] = {
        "none": None,
        "approve": {"decision": "approve", "analyst": jane, "notes": "sure"},
        "deny": {"decision": "deny", "analyst": typed, "notes": None},
        "unnamed": {"decision": "deny"},
        "timed out": {"decision": "timed_out"},
        "not asked": {"decision": "not_asked"},
    }
    done: dict[str, Any] = {
        "nothing": None,
        "some": {"actions": [facts.taken()], "notes": ["a note"], "denied": {}},
        "no deny policy": {
            "actions": [],
            "notes": [],
            "denied": {facts.MALLORY["arn"]: False, ROLE["arn"]: True},
        },
        "many": {
            "actions": [*[facts.taken(target=f"K{number}") for number in range(12)], facts.taken(verified=False)],
            "notes": [],
            "denied": {},
        },
        "twelve": {"actions": [facts.taken(target=f"K{number}") for number in range(12)], "notes": []},
    }
    asked = facts.part(outcome="ask_first")
    containments: dict[str, Any] = {
        "contained": facts.result(CONTAINED),
        "permission": facts.result(asked, outcome="ask_first"),
        "protected": facts.result(facts.part(outcome="refused", why="Protected."), outcome="refused"),
    }
    found: dict[str, object] = {}
    for name, containment in containments.items():
        results = done if name == "contained" else {"nothing": None}
        rows = [
            f"{decided}, {changes}, {len(missing)} missing: {wording.outcome(containment, decision, result, missing)}"
            for decided, decision in decisions.items()
            for changes, result in results.items()
            for missing in ([], ["Open Case", "Wait for Analyst"])
        ]
        found[f"outcome: {name}"] = "\n".join(rows)
    found["analysts"] = "\n".join(wording.decider((decision or {}).get("analyst")) for decision in decisions.values())
    found["final alert"] = "\n\n---\n\n".join(
        wording.final(INCIDENT, facts.result(one, FAILED), decision, done["some"], case, missing, no_case="No case.")
        for one, decision, case, missing in (
            (CONTAINED, decisions["approve"], "1234567890", []),
            (PARTLY, decisions["timed out"], None, ["Open Case"]),
            (CONTAINED, decisions["not asked"], None, []),
        )
    )
    found["deny policy missing"] = "\n".join(
        f"{one['principal']['name']}, {name}: {wording.lacks_deny(one, result)}"
        for one in (CONTAINED, PARTLY)
        for name, result in done.items()
    )
    found["results"] = "\n".join(
        wording.result(containments[name], done[changes]) for name in ("contained", "permission") for changes in done
    )
    return found
