"""Run the demo; the exit code is 0 only if all checks passed.

With the environment variable `QUIRKS`, the local Slack has the quirks of `ir_sandbox.demo.quirks`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ir_sandbox.cloud.launcher import ERRORS, LocalCloud
from ir_sandbox.demo import member_job, page, people_job, quirks
from ir_sandbox.demo.case_job import CaseJob
from ir_sandbox.demo.containment_job import ContainmentJob
from ir_sandbox.demo.member_job import MemberJob
from ir_sandbox.demo.people_job import PeopleJob
from ir_sandbox.demo.report import Report
from ir_sandbox.demo.story_job import StoryJob

FOLDER = Path("build") / "demo"


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Start the local cloud, run the jobs, write the results, and stop the local cloud."""
    report = Report()
    try:
        with LocalCloud(variables={**people_job.VARIABLES, **member_job.VARIABLES}, enforce_iam=True) as cloud:
            if environment.get("QUIRKS"):
                _turn_on_quirks(cloud)
            cases = CaseJob(cloud, report)
            containment = ContainmentJob(cloud, report)
            people = PeopleJob(cloud, report)
            try:
                people.start()
                cases.run()
                containment.run()
                people.run()
                member = MemberJob(cloud, report)
                member.executions, member.snapshots = containment.executions, containment.snapshots
                member.run()
                StoryJob(cloud, report).run()
                report.title("The Terraform deployment")
                report.check("a second plan shows no changes", lambda: not cloud.pending_changes(), within=0)
            finally:
                report.write(FOLDER / "result.json")
                (FOLDER / "index.html").write_text(_page(cloud, report, containment), encoding="utf-8")
            report.title("Stopping the local cloud")
    except ERRORS as error:
        print(f"\nThe demo could not run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the local cloud was stopped.", file=sys.stderr)
        return 130
    return _verdict(report)


def _turn_on_quirks(cloud: LocalCloud) -> None:
    print("\nThe quirks of the local Slack")
    chosen = list(quirks.of_demo())
    cloud.slack.store.quirks.turn_on(quirk.name for quirk in chosen)
    for quirk in chosen:
        print(f"  {quirk.name:30} {quirk.sentence}")


def _verdict(report: Report) -> int:
    print(f"\nOpen the page: {FOLDER / 'index.html'}")
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
    names = {channel.id: channel.name for channel in store.channels.values()}
    names |= {user.id: user.real_name for user in store.users.values()}
    ephemerals = cloud.slack.ephemerals()
    return page.render(report.checks, [*containment.snapshots, *channels], ephemerals, containment.executions, names)


if __name__ == "__main__":
    sys.exit(main())
