"""The sub-commands replay, resync and forget: return failed work, synchronise one case now, or erase its rows."""

from __future__ import annotations

from ir_operator import terminal
from ir_operator.deploy.deployment import Deployment


def replay(deployment: Deployment, queue: str | None, limit: int) -> bool:
    """Replay failed work and print each entry with its outcome.

    Args:
        deployment: The deployment whose queues are replayed.
        queue: Name of one queue; all queues by default.
        limit: Maximum number of entries.

    Returns:
        False if an entry was kept because it could not be passed on.

    Raises:
        OperationError: The operations function could not do its work.
    """
    options = {"queue": queue} if queue else {}
    answer = deployment.invoke("replay", limit=limit, **options)
    entries = answer["entries"]
    terminal.table(
        (entry["outcome"], entry["queue"], entry["what"] + (f" -> {entry['to']}" if entry["to"] else ""), entry["why"])
        for entry in entries
    )
    left = sum(answer["left"].values())
    outcomes = [entry["outcome"] for entry in entries]
    kept = outcomes.count("kept")
    summary = terminal.counted(outcomes) or "there was no failed work"
    action = "fix the causes of the kept entries, then replay again" if kept else "replay again"
    rest = f"; {left} left: {action}" if left else ""
    if entries:
        print()
    terminal.line("failed" if kept else "ok", f"replayed: {summary}{rest}")
    return not kept


def resync(deployment: Deployment, case_id: str) -> bool:
    """Synchronise a case now and print the outcome.

    Returns:
        Whether the case is in sync, or the next run will continue.

    Raises:
        OperationError: The operations function could not do its work.
    """
    outcome = str(deployment.invoke("resync", case_id=case_id)["outcome"])
    meaning = _OUTCOMES.get(outcome, outcome)
    good = outcome in ("synced", "held", "continues", "waiting", "lost")
    terminal.line("ok" if good else "failed", f"case {case_id}: {meaning}")
    return good


def forget_person(deployment: Deployment, person: str) -> bool:
    """Erase the rows of all closed cases with a person, print the outcome, and return whether none is left.

    Args:
        deployment: The deployment.
        person: Slack user id or e-mail address.

    Raises:
        OperationError: The operations function could not do its work.
    """
    answer = deployment.invoke("forget", person=person)
    cases, open_cases = answer["cases"], answer["open_cases"]
    terminal.line("ok", f"closed cases whose rows are erased now: {', '.join(cases) or 'none'}")
    if open_cases:
        terminal.line(
            "failed", f"open cases with this person: {', '.join(open_cases)}. Close them, then run forget again"
        )
    if not answer["complete"]:
        terminal.line("failed", "the time was not enough for all cases. Run forget again")
    return not open_cases and bool(answer["complete"])


def forget(deployment: Deployment, case_id: str) -> bool:
    """Erase the rows of a closed case, print the outcome and return whether they are gone.

    Raises:
        OperationError: The case is not closed, or the operations function could not do its work.
    """
    outcome = str(deployment.invoke("forget", case_id=case_id)["outcome"])
    good = outcome in ("erased", "held", "continues", "waiting", "lost")
    meaning = (
        "its rows are erased" if outcome == "erased" else f"{_OUTCOMES.get(outcome, outcome)}, and erases its rows"
    )
    terminal.line("ok" if good else "failed", f"case {case_id}: {meaning}")
    return good


_OUTCOMES = {
    "erased": "its retention has ended, so it is no longer synchronised",
    "synced": "in sync with its channel",
    "held": "another run is synchronising this case and will check it once more",
    "lost": "another run took over this case and continues",
    "continues": "not finished within one run; the next run continues automatically",
    "waiting": "Slack limits the rate of calls; the next run continues automatically",
    "failed": "failed again: see the log group of -sync, and the notices on the case and in its channel",
    "unknown case": "there is no such case in this region",
    "not imported": "the case is older than the deployment, and initial_import excludes such cases",
}
