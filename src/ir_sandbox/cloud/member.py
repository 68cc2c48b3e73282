"""A member of the organisation on the emulator: the modules of an account and its regions, applied by the account."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3

from ir_operator.project import PROJECT_ROOT
from ir_sandbox.cloud.accounts import MEMBER, ORGANIZATION_ID
from ir_sandbox.cloud.run_folder import RunFolder
from ir_sandbox.cloud.terraform import Terraform

MODULES = Path("terraform") / "modules"
DETECTIONS = Path("src") / "ir_router" / "workflow" / "detections.json"

_ACCOUNT = """
module "account" {{
  source             = "./terraform/modules/account"
  providers          = {{ aws = aws.us-east-1 }}
  workflow_role_arn  = "{workflow_role_arn}"
  organization_id    = "{organization_id}"
  containment_mode   = "enforce"
  detections_bus_arn = "{bus_arn}"
  watched_regions    = [{regions}]
}}
"""
_REGION = """
provider "aws" {{
  alias  = "{region}"
  region = "{region}"
}}
module "{region}" {{
  source    = "./terraform/modules/region"
  providers = {{ aws = aws.{region} }}
  bus_arn   = "{bus_arn}"
  role_arn  = module.account.forwarding_role_arn
}}
"""


class Member:
    """An account with the containment role and the forwarding rules; a context manager that applies them.

    For the emulator, an access key of twelve digits is the root of the account with this id.
    """

    def __init__(
        self,
        environment: dict[str, str],
        outputs: dict[str, Any],
        regions: tuple[str, ...] = ("us-east-1", "eu-west-1"),
        account: str = MEMBER,
    ) -> None:
        """Prepare the member.

        Args:
            environment: The environment variables that direct Terraform to the emulator.
            outputs: `detections_bus_arn` and `workflow_role_arn` of the hub.
            regions: The watched regions, with us-east-1.
            account: The id of the account.
        """
        self._environment = {**environment, "AWS_ACCESS_KEY_ID": account}
        self._outputs = outputs
        self._regions = regions
        self.account = account
        self._folder: RunFolder | None = None

    def start(self) -> None:
        """Apply the modules; raises TerraformError."""
        self._folder = RunFolder("member")
        folder = self._folder.path
        shutil.copytree(PROJECT_ROOT / MODULES, folder / MODULES, ignore=shutil.ignore_patterns(".*"))
        (folder / DETECTIONS).parent.mkdir(parents=True)
        shutil.copy(PROJECT_ROOT / DETECTIONS, folder / DETECTIONS)
        bus_arn = self._outputs["detections_bus_arn"]
        account = _ACCOUNT.format(
            bus_arn=bus_arn,
            workflow_role_arn=self._outputs["workflow_role_arn"],
            organization_id=ORGANIZATION_ID,
            regions=", ".join(f'"{region}"' for region in self._regions),
        )
        places = [_REGION.format(bus_arn=bus_arn, region=region) for region in self._regions]
        (folder / "main.tf").write_text(account + "".join(places), "utf-8")
        self._terraform = Terraform(folder, self._environment)
        self._terraform.init()
        self._terraform.apply(lambda _: None)

    def pending_changes(self) -> list[str]:
        """Return the changes that another apply would make."""
        return self._terraform.changes()

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """Return an untyped boto3 client for a service of this account."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self._environment["AWS_ENDPOINT_URL"],
            region_name=region,
            aws_access_key_id=self.account,
            aws_secret_access_key=self._environment["AWS_SECRET_ACCESS_KEY"],
        )

    def close(self) -> None:
        """Delete the files; the resources stay in the emulator."""
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.close()

    def __enter__(self) -> Self:
        """Apply the modules; leave no files behind if this fails."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the files."""
        self.close()
