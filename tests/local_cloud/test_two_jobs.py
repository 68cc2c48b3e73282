"""The jobs of the demo on the local cloud with enforced IAM: the zip and the Terraform root, checked from outside."""

from __future__ import annotations

import json

import pytest

from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.demo import page, people_job
from ir_sandbox.demo.case_job import CaseJob
from ir_sandbox.demo.containment_job import ContainmentJob
from ir_sandbox.demo.people_job import PeopleJob
from ir_sandbox.demo.report import Report

pytestmark = pytest.mark.local_cloud


@pytest.mark.deployments
def test_given_the_deployed_system_when_its_jobs_run_then_every_claim_is_seen(tmp_path) -> None:
    report = Report()
    with LocalCloud(variables=people_job.VARIABLES, enforce_iam=True) as cloud:
        cases, containment, people = CaseJob(cloud, report), ContainmentJob(cloud, report), PeopleJob(cloud, report)
        people.start()
        cases.run()
        containment.run()
        people.run()
        assert cloud.pending_changes() == []
        channels = [("channel", "topic", cases.messages())]
        shown = page.render(report.checks, channels, [], containment.executions, {})

    report.write(tmp_path / "result.json")
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert [check for check in result["checks"] if not check["ok"]] == []
    assert result["passed"] == len(report.checks) > 70
    assert "Delete Key Permanently" in shown
    assert "<script" not in shown
