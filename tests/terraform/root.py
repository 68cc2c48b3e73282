"""The Terraform root in its own folder, planned without an AWS account.

A plan sends AWS two requests only, and a server answers these in place of AWS. The provider is the real one, so plans,
validation and policies are those of a real deployment.

Slow results of Terraform are cached under `.local/terraform-tests`, by the content of their inputs. The processes of
one run share them, and a run without changes reuses them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from ir_operator.project import LOCAL, PROJECT_ROOT
from ir_operator.terraform import plugin_mirror, terraform_program
from ir_sandbox.cloud.provider import running_provider
from ir_sandbox.cloud.run_folder import only_one
from ir_sandbox.cloud.terraform import own_environment, working_copy
from ir_sandbox.http import RunningServer

ACCOUNT = "123456789012"

# The users and roles of the account in which the tests plan.
PRINCIPALS = {
    "User": [f"arn:aws:iam::{ACCOUNT}:user/admins/founder", f"arn:aws:iam::{ACCOUNT}:user/backdoor"],
    "Role": [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("break-glass-1", "vault/break-glass-2", "deploy")],
}

KEPT = LOCAL / "terraform-tests"
KEPT_SECONDS = 7 * 86_400

# The file among the root's own tests that applies.
APPLIED = "tests/applied.tftest.hcl"


@dataclass(frozen=True)
class Plan:
    """A plan as Terraform shows it (`terraform show -json`), and the bytes of the plan file itself."""

    content: Mapping[str, Any]
    file: bytes

    def resources(self, kind: str, name: str | None = None) -> dict[str, dict[str, Any]]:
        """Return the planned values of the resources of a type, by address."""
        return {
            resource["address"]: resource.get("values", {})
            for resource in self.all_resources()
            if resource["mode"] == "managed" and resource["type"] == kind and name in (None, resource["name"])
        }

    def all_resources(self) -> Iterator[dict[str, Any]]:
        """Yield every planned resource of the root and its modules, with data sources."""
        yield from resources_of(self.content["planned_values"]["root_module"])

    def role_policies(self, name: str = "function") -> dict[str, list[dict[str, Any]]]:
        """Return the statements of the inline policies with this Terraform `name`, by function (by address if it is no
        map). Those of a function include the managed policies of its role.
        """
        found: dict[str, list[dict[str, Any]]] = {
            address.partition('["')[2].rstrip('"]') or address: json.loads(values["policy"])["Statement"]
            for address, values in self.resources("aws_iam_role_policy", name).items()
        }
        if name == "function":
            for values in self.resources("aws_iam_policy", "verify").values():
                found["operations"] += json.loads(values["policy"])["Statement"]
        return found

    def containment_policy(self) -> list[dict[str, Any]]:
        """Return the statements of the role that `-workflow` assumes, with those of its managed policies."""
        policies = [
            *self.resources("aws_iam_role_policy", "containment").values(),
            *self.resources("aws_iam_policy", "protected").values(),
        ]
        return [statement for values in policies for statement in json.loads(values["policy"])["Statement"]]


def resources_of(module: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the resources of a module and of the modules in it."""
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from resources_of(child)


@dataclass(frozen=True)
class OwnTests:
    """The root's own tests (`terraform/tests`), run with a mocked provider.

    Attributes:
        passed: The names of the passed tests.
        printed: The complete output of the test that applies.
        applied: The resources in that test's state, by address.
    """

    passed: frozenset[str]
    printed: str
    applied: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class TerraformRoot:
    """An initialised copy of the root, with the environment of its commands.

    `digest` identifies all inputs of its plans except their variables.
    """

    program: Path
    folder: Path
    environment: Mapping[str, str]
    digest: str = ""

    def run(self, *arguments: str, one_configuration: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a Terraform command and return its result. The caller checks the exit code.

        `one_configuration`: all `provider` blocks have the same region and the same tags.
        """
        with running_provider(
            self.folder, self.environment, arguments[0], one_configuration=one_configuration
        ) as provider:
            return subprocess.run(
                [self.program, *arguments],
                cwd=self.folder,
                env={**self.environment, **provider},
                capture_output=True,
                text=True,
                check=False,
            )

    def plan(self, **variables: object) -> Plan:
        """Plan a first deployment with the example's values and these. Raises AssertionError if Terraform refuses."""

        def make(folder: Path) -> None:
            values = folder / "values.tfvars.json"
            values.write_text(json.dumps({"package_path": "./versions.tf", **variables}))
            files = ("-var-file=terraform.tfvars.example", f"-var-file={values}")
            at_home = variables.get("region", "us-east-1") == "us-east-1"  # where global events are
            answer = self.run(
                "plan", "-input=false", "-no-color", *files, f"-out={folder / 'plan'}", one_configuration=at_home
            )
            assert answer.returncode == 0, answer.stderr
            shown = self.run("show", "-json", str(folder / "plan"))
            assert shown.returncode == 0, shown.stderr
            (folder / "plan.json").write_text(shown.stdout)

        folder = kept(f"plan {self.digest} {json.dumps(variables, sort_keys=True)}", make)
        return Plan(json.loads((folder / "plan.json").read_text()), (folder / "plan").read_bytes())

    def own_tests(self) -> OwnTests:
        """Run the root's own tests. Raises AssertionError with Terraform's diagnostics if one fails.

        Only the test that applies runs with complete output, because Terraform then prints the provider's schema (ten
        megabytes) with each plan.
        """

        def make(folder: Path) -> None:
            tests = [f"tests/{file.name}" for file in self.folder.glob("tests/*.tftest.hcl")]
            _, planned = self._test("-json", *[f"-filter={test}" for test in tests if test != APPLIED])
            printed, applied = self._test("-json", "-verbose", f"-filter={APPLIED}")
            (state,) = [message["test_state"] for message in applied if message["type"] == "test_state"]
            passed = [
                message["test_run"]["run"]
                for message in planned + applied
                if message["type"] == "test_run" and message["test_run"].get("status") == "pass"
            ]
            values = {resource["address"]: resource["values"] for resource in resources_of(state["root_module"])}
            (folder / "tests.json").write_text(json.dumps({"passed": passed, "printed": printed, "applied": values}))

        found = json.loads((kept(f"tests {self.digest}", make) / "tests.json").read_text())
        return OwnTests(frozenset(found["passed"]), found["printed"], found["applied"])

    def _test(self, *options: str) -> tuple[str, list[dict[str, Any]]]:
        answer = self.run("test", *options)
        messages = [json.loads(line) for line in answer.stdout.splitlines()]
        failures = [message.get("diagnostic", message) for message in messages if message["@level"] == "error"]
        assert answer.returncode == 0, (failures, answer.stderr)
        return answer.stdout + answer.stderr, messages


@contextmanager
def terraform_root(folder: Path) -> Iterator[TerraformRoot]:
    """Initialise a copy of the root in `folder`.

    Raises TerraformError if Terraform is missing or too old, AssertionError if it refuses.
    """
    program = terraform_program()
    with RunningServer(aws) as server:
        environment = own_environment() | {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": server.url,
        }
        root = TerraformRoot(program, working_copy(PROJECT_ROOT / "terraform", folder), environment)
        sources = sorted(file for file in folder.rglob("*") if file.is_file())
        mirror = plugin_mirror()
        answer = root.run("init", "-input=false", "-no-color", *([f"-plugin-dir={mirror}"] if mirror else []))
        assert answer.returncode == 0, answer.stderr
        version = root.run("version", "-json").stdout  # with the provider's
        files = [*sources, root.folder / ".terraform.lock.hcl", Path(__file__)]
        yield replace(root, digest=digest_of(files, version))


def digest_of(files: list[Path], more: str) -> str:
    """Return a digest of the files' names and contents."""
    digest = hashlib.sha256(more.encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def kept(inputs: str, make: Callable[[Path], None]) -> Path:
    """Return the cached folder for these inputs. The first process calls `make`; others wait for it."""
    KEPT.mkdir(parents=True, exist_ok=True)
    folder = KEPT / hashlib.sha256(inputs.encode()).hexdigest()[:16]
    with only_one(f"{KEPT.name}/{folder.name}"):
        if not folder.exists():
            draft = Path(tempfile.mkdtemp(dir=KEPT, prefix="new-"))
            make(draft)
            draft.rename(folder)
        folder.touch()
    for other in KEPT.iterdir():
        if other.is_dir() and time.time() - other.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def _principals(kind: str) -> Response:
    """Return the answer of ListUsers or ListRoles."""
    members = "".join(
        f"<member><Arn>{arn}</Arn><{kind}Name>{arn.rpartition('/')[2]}</{kind}Name><Path>/</Path><{kind}Id>ID</{kind}Id>"
        "<CreateDate>2026-01-01T00:00:00Z</CreateDate></member>"
        for arn in PRINCIPALS[kind]
    )
    return Response(
        f'<List{kind}sResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><List{kind}sResult>'
        f"<{kind}s>{members}</{kind}s><IsTruncated>false</IsTruncated></List{kind}sResult></List{kind}sResponse>",
        content_type="text/xml",
    )


@Request.application
def aws(request: Request) -> Response:
    """Answer the requests of a plan: the caller, the account's principals, the validation of the state machine."""
    if request.headers.get("X-Amz-Target") == "AWSStepFunctions.ValidateStateMachineDefinition":
        json.loads(json.loads(request.get_data())["definition"])
        return Response('{"result": "OK", "diagnostics": []}', content_type="application/x-amz-json-1.0")
    if kind := {"ListUsers": "User", "ListRoles": "Role"}.get(request.form.get("Action", "")):
        return _principals(kind)
    assert request.form.get("Action") == "GetCallerIdentity", "a plan asks for more than this server knows"
    return Response(
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>arn:aws:iam::{ACCOUNT}:user/planner</Arn><UserId>AIDAPLANNER</UserId><Account>{ACCOUNT}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>",
        content_type="text/xml",
    )
