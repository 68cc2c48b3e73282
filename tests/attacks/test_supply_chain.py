"""Attacks by a program that a deployment runs: it reads credentials from its environment, or deploys other code."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

from ir_operator import environment
from ir_operator.deploy.terraform_root import TerraformRoot
from ir_operator.project import PROJECT_ROOT
from tests.terraform.root import Plan

SECRETS = {
    "SLACK_BOT_TOKEN": "canary-token",
    "SLACK_SIGNING_SECRET": "canary-secret",
    "GITHUB_TOKEN": "canary-github",
    "DATABASE_URL": "canary-database",
}
NEEDED = {
    "AWS_SESSION_TOKEN": "a",
    "TF_VAR_region": "eu-west-1",
    "HTTPS_PROXY": "http://proxy:1",
    "SSL_CERT_FILE": "/c",
}


def test_given_secrets_in_the_environment_when_terraform_runs_then_it_gets_only_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "terraform"
    program.write_text('#!/bin/sh\necho "{\\"terraform_version\\": \\"1.11.0\\"}"\nenv > "$TMPDIR/seen"\n')
    program.chmod(0o755)
    for name, value in {**SECRETS, **NEEDED, "TMPDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DEPLOY_ENVIRONMENT", "ARM_CLIENT_SECRET, UNSET")
    monkeypatch.setenv("ARM_CLIENT_SECRET", "backend")
    (tmp_path / "acme.tfvars").touch()

    TerraformRoot(tmp_path / "acme.tfvars", tmp_path).addresses()

    seen = dict(line.partition("=")[::2] for line in (tmp_path / "seen").read_text().splitlines())
    assert not SECRETS.keys() & seen.keys()
    assert seen.items() >= {**NEEDED, "ARM_CLIENT_SECRET": "backend", "TF_WORKSPACE": "acme"}.items()


def test_given_credentials_when_the_build_runs_then_it_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, **NEEDED}.items():
        monkeypatch.setenv(name, value)

    for given in (environment.for_build(), environment.for_git()):
        assert not {*SECRETS, "AWS_SESSION_TOKEN", "TF_VAR_region"} & given.keys()
        assert given["HTTPS_PROXY"] == "http://proxy:1"


def test_given_the_commands_when_read_then_each_started_program_gets_an_environment_of_its_own() -> None:
    started = [
        (path.name, call)
        for path in (PROJECT_ROOT / "src" / "ir_operator").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("subprocess.run", "subprocess.Popen")
    ]

    assert len(started) >= 8
    assert [name for name, call in started if "env" not in {keyword.arg for keyword in call.keywords}] == []


def test_given_the_programs_that_a_set_up_installs_when_read_then_each_has_a_hash() -> None:
    """A replaced package on the index or on the way does not run."""
    (install,) = [line for line in (PROJECT_ROOT / "Makefile").read_text("utf-8").splitlines() if "pip install" in line]
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= {*install.split()}

    for path in PROJECT_ROOT.rglob("*-requirements.txt"):
        if not {".venv", ".local"} & {*path.parts}:
            entries = path.read_text("utf-8").replace("\\\n", " ").splitlines()
            packages = [entry for entry in entries if entry.strip() and not entry.lstrip().startswith("#")]
            assert packages, path
            assert [entry for entry in packages if "--hash=sha256:" not in entry] == [], path


def test_given_a_signing_configuration_when_planned_then_every_function_runs_signed_code_only(enforcing: Plan) -> None:
    functions = enforcing.resources("aws_lambda_function", "this").values()

    assert len({json.dumps(one["code_signing_config_arn"]) for one in functions}) == 1
    assert all(":code-signing-config:" in one["code_signing_config_arn"] for one in functions)
