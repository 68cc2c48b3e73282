"""The findings of checkov and parliament (pinned versions) about the root and its policies."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from ir_operator.project import PROJECT_ROOT
from tests.terraform.accepted_findings import ACCEPTED, ACCEPTED_OF_PARLIAMENT
from tests.terraform.root import Plan

REQUIREMENTS = Path(__file__).with_name("checkers-requirements.txt")

# Runs in the checkers' own interpreter: policies by name as JSON in, findings as lines out.
ASK_PARLIAMENT = """
import json, sys
from parliament import analyze_policy_string
for name, document in json.load(sys.stdin).items():
    for finding in analyze_policy_string(json.dumps(document)).findings:
        details = finding.detail if isinstance(finding.detail, list) else [{}]
        print(name, finding.issue, details[0].get("action") or finding.location.get("string", ""))
"""


def run(*command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            find_uv_bin(),
            "run",
            "--quiet",
            "--no-project",
            "--isolated",
            "--with-requirements",
            str(REQUIREMENTS),
            *command,
        ],
        input=given,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )


def parliament(policies: Mapping[str, Any]) -> list[str]:
    answer = run("python", "-c", ASK_PARLIAMENT, given=json.dumps(policies))
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


@pytest.fixture(scope="module")
def findings() -> dict[str, set[str]]:
    """Return the failing resources by check."""
    folder = str(PROJECT_ROOT / "terraform")
    # The examples are the same root once more, as a module.
    options = ("--skip-path", "examples", "--framework", "terraform", "--output", "json", "--skip-download")
    answer = run("checkov", "--directory", folder, *options)
    report = json.loads(answer.stdout)
    assert report["summary"]["passed"] > 100, "the checker read the complete root"
    assert report["summary"]["parsing_errors"] == 0
    failed: dict[str, set[str]] = {}
    for check in report["results"]["failed_checks"]:
        resource, _, _ = check["resource"].partition("[")
        failed.setdefault(check["check_id"], set()).add(resource)
    return failed


def test_given_the_root_when_checkov_reads_it_then_it_finds_exactly_what_is_accepted(findings: dict[str, set[str]]):
    assert findings == {check: set(acceptance.resources) for check, acceptance in ACCEPTED.items()}


def test_given_every_policy_of_the_plan_when_parliament_reads_it_then_it_finds_what_is_wrong_and_what_is_accepted(
    enforcing: Plan,
):
    policies = {
        address: json.loads(values["policy"])
        for kind in ("aws_iam_role_policy", "aws_iam_policy")
        for address, values in enforcing.resources(kind).items()
    }
    assert len(policies) == 18

    wrong = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:NoSuch", "Resource": "*"}]}
    found = parliament({**policies, "wrong": wrong})

    assert set(found) == {*ACCEPTED_OF_PARLIAMENT, "wrong UNKNOWN_ACTION sqs:NoSuch"}
