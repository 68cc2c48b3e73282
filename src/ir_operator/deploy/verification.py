"""The sub-command verify: the checks inside the deployment, the version and the webhook endpoint, as one table."""

from __future__ import annotations

from collections.abc import Iterator

from ir_operator import terminal
from ir_operator.deploy import webhook_endpoint
from ir_operator.deploy.deployment import Deployment
from ir_router import __version__


def verify(deployment: Deployment) -> list[str]:
    """Verify a deployment, print the table and the result, and return the state of each line. Raises OperationError."""
    print(f"Verifying {deployment.prefix} in {deployment.region} ...", flush=True)
    answer = deployment.invoke("verify")
    rows = [_version_row(answer.get("version"))]
    rows += [(check["state"], check["name"], check["detail"], check["mend"]) for check in answer["checks"]]
    if deployment.webhook_url:
        rows.append(webhook_endpoint.check(deployment.webhook_url, answer.get("probe")))
    terminal.table(rows)
    states = [state for state, _, _, _ in rows]
    print()
    terminal.line(result(states), f"verified: {', '.join(_counts(rows))}")
    return states


def _version_row(deployed: str | None) -> terminal.Row:
    """Compare the deployed version with this package's. Versions before 0.2.0 do not report theirs."""
    detail = f"{deployed or 'before 0.2.0'} deployed, this package is {__version__}"
    if deployed == __version__:
        return "ok", "version", detail, ""
    return "warning", "version", detail, "Run make deploy from the release that you want, or install ir-router from it."


_ORDER = ["ok", "warning", "waiting", "failed"]


def result(states: list[str]) -> str:
    """Return the most severe of the states. A warning counts as ok."""
    worst = max(states, key=_ORDER.index, default="ok")
    return "ok" if worst == "warning" else worst


def _counts(rows: list[terminal.Row]) -> Iterator[str]:
    """Yield the number of lines of each state, with the names of those that wait or failed."""
    for wanted in _ORDER:
        names = [name for state, name, _, _ in rows if state == wanted]
        if names:
            named = f" ({', '.join(names)})" if wanted in ("waiting", "failed") else ""
            yield f"{len(names)} {wanted}{named}"
