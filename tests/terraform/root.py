"""The Terraform root in a folder of its own, planned without an AWS account.

A plan asks AWS two questions only, so a server that answers these stands for AWS. The provider is the real one: plans,
validation and policies are those of a real deployment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from ir_local.http import RunningServer

PROJECT_ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "123456789012"

# What the root reads beside its own folder.
READ_FILES = ("state-machine.asl.json", "src/ir_router/workflow/detections.json")

# Where an unpacked provider mirror usually is, when there is one (Terraform's implied mirrors among them).
USUAL_MIRRORS = ("~/.terraform.d/plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")


@dataclass(frozen=True)
class Plan:
    """A plan as Terraform shows it (`terraform show -json`), and the bytes of the plan file itself."""

    content: Mapping[str, Any]
    file: bytes

    def resources(self, kind: str, name: str | None = None) -> dict[str, dict[str, Any]]:
        """Planned values of the resources of a type, by address."""
        return {
            resource["address"]: resource["values"]
            for resource in self.content["planned_values"]["root_module"]["resources"]
            if resource["mode"] == "managed" and resource["type"] == kind and name in (None, resource["name"])
        }

    def role_policies(self, name: str = "function") -> dict[str, list[dict[str, Any]]]:
        """Statements of the inline policies called `name` in Terraform, by function, or by address if it is no map."""
        return {
            address.partition('["')[2].rstrip('"]') or address: json.loads(values["policy"])["Statement"]
            for address, values in self.resources("aws_iam_role_policy", name).items()
        }


@dataclass(frozen=True)
class OwnTests:
    """The root's own tests (`terraform/tests`), run with a mocked provider.

    `printed` is everything that Terraform said; `results` the outcome of each run; `applied` the resources of the state
    after the one test that applies, by address.
    """

    printed: str
    results: Mapping[str, str]
    applied: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class TerraformRoot:
    """A copy of the root, initialised, with the environment of its commands."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a Terraform command; its exit code is the caller's to judge."""
        return subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def plan(self, **variables: object) -> Plan:
        """Plan a first deployment: the example's values and these. Raises AssertionError when Terraform refuses."""
        file = Path(tempfile.mkdtemp(dir=self.folder.parent)) / "plan"
        values = file.with_suffix(".tfvars.json")
        values.write_text(json.dumps({"package_path": "./versions.tf", **variables}))
        files = ("-var-file=terraform.tfvars.example", f"-var-file={values}")
        answer = self.run("plan", "-input=false", "-no-color", *files, f"-out={file}")
        assert answer.returncode == 0, answer.stderr
        shown = self.run("show", "-json", str(file))
        assert shown.returncode == 0, shown.stderr
        return Plan(json.loads(shown.stdout), file.read_bytes())

    def own_tests(self) -> OwnTests:
        """Run the root's own tests, failures included."""
        answer = self.run("test", "-json", "-verbose")
        messages = [json.loads(line) for line in answer.stdout.splitlines()]
        states = [message["test_state"] for message in messages if message["type"] == "test_state"]
        return OwnTests(
            answer.stdout + answer.stderr,
            {
                message["test_run"]["run"]: message["test_run"]["status"]
                for message in messages
                if message["type"] == "test_run" and message["test_run"].get("progress") == "complete"
            },
            {
                resource["address"]: resource["values"]
                for state in states
                for resource in state["root_module"]["resources"]
            },
        )


@contextmanager
def terraform_root(folder: Path) -> Iterator[TerraformRoot]:
    """Copy the root into `folder` and initialise it. Raises AssertionError when Terraform is missing or refuses."""
    assert shutil.which("terraform"), "Terraform is missing: install version 1.11 or newer, it checks the deployment"
    root = folder / "terraform"
    shutil.copytree(
        PROJECT_ROOT / "terraform", root, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars")
    )
    for name in READ_FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT_ROOT / name, folder / name)
    with RunningServer(aws) as server:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": server.url,
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        initialised = TerraformRoot(root, environment)
        mirror = plugin_mirror()
        answer = initialised.run("init", "-input=false", "-no-color", *([f"-plugin-dir={mirror}"] if mirror else []))
        assert answer.returncode == 0, answer.stderr
        yield initialised


def plugin_mirror() -> Path | None:
    """A folder that holds `registry.terraform.io/hashicorp/aws`, or None: then the network is used."""
    given = os.environ.get("TF_PLUGIN_MIRROR")
    candidates = [Path(given)] if given else [Path(path).expanduser() for path in USUAL_MIRRORS]
    if not given:
        candidates += sorted(Path("/opt").glob("*"))
    return next((path for path in candidates if (path / "registry.terraform.io/hashicorp/aws").is_dir()), None)


@Request.application
def aws(request: Request) -> Response:
    """All that a plan asks of AWS: who is calling, and whether the state machine's definition is valid."""
    if request.headers.get("X-Amz-Target") == "AWSStepFunctions.ValidateStateMachineDefinition":
        json.loads(json.loads(request.get_data())["definition"])
        return Response('{"result": "OK", "diagnostics": []}', content_type="application/x-amz-json-1.0")
    assert request.form.get("Action") == "GetCallerIdentity", "a plan asks for more than this server knows"
    return Response(
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>arn:aws:iam::{ACCOUNT}:user/planner</Arn><UserId>AIDAPLANNER</UserId><Account>{ACCOUNT}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>",
        content_type="text/xml",
    )
