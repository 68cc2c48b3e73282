"""`verify`: what the deployment says of itself, and its door from outside, as one table."""

from __future__ import annotations

from ir_local.deploy import door, terminal
from ir_local.deploy.deployment import Deployment


def verify(deployment: Deployment) -> list[str]:
    """Print the table and its result; the states of its lines. Raises OperationError."""
    print(f"Verifying {deployment.prefix} in {deployment.region} ...", flush=True)
    answer = deployment.run("verify")
    rows = [(check["state"], check["name"], check["detail"], check["mend"]) for check in answer["checks"]]
    if deployment.webhook_url:
        rows.append(door.check(deployment.webhook_url, answer.get("probe")))
    terminal.table(rows)
    states = [state for state, _, _, _ in rows]
    print()
    terminal.line(result(states), f"verified: {terminal.counted(sorted(states, key=_ORDER.index))}{_where(rows)}")
    return states


_ORDER = ["ok", "warning", "waiting", "failed"]


def result(states: list[str]) -> str:
    """The state of the whole: the gravest of them, a warning counting as ok."""
    gravest = max(states, key=_ORDER.index, default="ok")
    return "ok" if gravest == "warning" else gravest


def _where(rows: list[tuple[str, str, str, str]]) -> str:
    red = [name for state, name, _, _ in rows if state in ("waiting", "failed")]
    return f" ({', '.join(red)})" if red else ""
