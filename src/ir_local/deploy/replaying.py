"""`replay` and `resync`: hand failed work back, and show what went where."""

from __future__ import annotations

from ir_local.deploy import terminal
from ir_local.deploy.deployment import Deployment


def replay(deployment: Deployment, queue: str | None, limit: int) -> bool:
    """Print what was moved; whether nothing had to be kept. Raises OperationError."""
    options = {"queue": queue} if queue else {}
    answer = deployment.run("replay", limit=limit, **options)
    entries = answer["entries"]
    terminal.table(
        (entry["outcome"], entry["queue"], entry["what"] + (f" -> {entry['to']}" if entry["to"] else ""), entry["why"])
        for entry in entries
    )
    left = sum(answer["left"].values())
    outcomes = [entry["outcome"] for entry in entries]
    kept = outcomes.count("kept")
    said = terminal.counted(outcomes) or "nothing was there"
    rest = f"; {left} still there: mend what is said above, or run it again" if left else ""
    if entries:
        print()
    terminal.line("failed" if kept else "ok", f"replayed: {said}{rest}")
    return not kept


def resync(deployment: Deployment, case_id: str) -> bool:
    """Print what became of it; whether the case is, or soon will be, in step. Raises OperationError."""
    outcome = str(deployment.run("resync", case_id=case_id)["outcome"])
    meaning = _OUTCOMES.get(outcome, outcome)
    good = outcome in ("synced", "held", "continues", "waiting", "lost")
    terminal.line("ok" if good else "failed", f"case {case_id}: {meaning}")
    return good


_OUTCOMES = {
    "synced": "in step with its channel",
    "held": "another run works on it and has been told to look again",
    "lost": "another run took it over and works on it now",
    "continues": "more was to be done than fits into one run; the next one goes on by itself",
    "waiting": "Slack asks to wait; the next run goes on by itself",
    "failed": "it failed again: see the log group of -sync, and what the case and its channel say",
    "unknown case": "there is no such case in this region",
    "not imported": "it is older than the deployment, and initial_import leaves such cases out",
}
