"""Runs the demo; ends with 0 only when every claim was seen."""

from __future__ import annotations

import sys
from pathlib import Path

from ir_local.cloud.launcher import ERRORS, LocalCloud
from ir_local.demo import page
from ir_local.demo.case_job import CaseJob
from ir_local.demo.containment_job import ContainmentJob
from ir_local.demo.report import Report

FOLDER = Path("build") / "demo"


def main() -> int:
    """Start the local cloud, carry out both jobs, write the results, take everything down."""
    report = Report()
    try:
        with LocalCloud(enforce_iam=True) as cloud:
            cases = CaseJob(cloud, report)
            containment = ContainmentJob(cloud, report)
            try:
                cases.run()
                containment.run()
                report.title("What Terraform deployed")
                report.check("a second plan shows no changes", lambda: not cloud.pending_changes(), within=0)
            finally:
                report.write(FOLDER / "result.json")
                (FOLDER / "index.html").write_text(_page(cloud, report, containment), encoding="utf-8")
            report.title("Taking the local cloud down")
    except ERRORS as error:
        print(f"\nThe demo could not run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the local cloud was taken down.", file=sys.stderr)
        return 130
    return _verdict(report)


def _verdict(report: Report) -> int:
    print(f"\nSee it: {FOLDER / 'index.html'}")
    total = len(report.checks)
    if report.failed:
        print(f"FAILED: {report.failed} of {total} checks failed.")
        return 1
    print(f"ok: all {total} checks passed.")
    return 0


def _page(cloud: LocalCloud, report: Report, containment: ContainmentJob) -> str:
    store = cloud.slack.store
    channels = [
        (channel.name, str(channel.topic.get("value", "")), cloud.slack.channel_messages(channel.id))
        for channel in store.channels.values()
        if channel.name
    ]
    names = {user.id: user.real_name for user in store.users.values()}
    ephemerals = cloud.slack.ephemerals()
    return page.render(report.checks, [*containment.snapshots, *channels], ephemerals, containment.executions, names)


if __name__ == "__main__":
    sys.exit(main())
