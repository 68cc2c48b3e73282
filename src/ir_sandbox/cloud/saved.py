"""Deployed clouds saved on disk, so that only the first start waits for Terraform.

A saved cloud contains the loopback addresses of its run (queue URLs, environments of functions, Terraform's state).
Restoring it replaces these addresses, so every run can use free ports.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ir_operator.project import LOCAL, PROJECT_ROOT
from ir_sandbox.cloud.run_folder import only_one

SAVED = LOCAL / "saved"
KEPT = 4
"""The number of saved clouds, the most recently used ones."""

OUTPUTS = "outputs.json"
FILES = ("terraform.tfstate", OUTPUTS)
"""The saved files besides the folder `emulator`."""

Variables = Mapping[str, object]


@dataclass(frozen=True)
class Addresses:
    """The addresses of a cloud's three services, as `host:port`."""

    aws: str
    security_ir: str
    slack: str


@dataclass(frozen=True)
class SlackCredentials:
    """The generated credentials of a cloud's Slack app, valid only in that cloud."""

    bot_token: str
    signing_secret: str
    team_id: str


@dataclass(frozen=True)
class Deployment:
    """A saved cloud: its zip, its Slack app's credentials, and its addresses at the time of saving."""

    package_sha256: str
    credentials: SlackCredentials
    addresses: Addresses


class SavedCloud:
    """The saved cloud of one Terraform root with its variables and emulator."""

    def __init__(self, key: str) -> None:
        """Use the key from `cloud_key`."""
        self.key = key
        self._folder = SAVED / key

    def find(self) -> Deployment | None:
        """Return the saved deployment, if there is one."""
        description = self._folder / "deployment.json"
        if not description.exists():
            return None
        found = json.loads(description.read_text("utf-8"))
        return Deployment(
            package_sha256=found["package_sha256"],
            credentials=SlackCredentials(**found["credentials"]),
            addresses=Addresses(**found["addresses"]),
        )

    def copy_to(self, folder: Path, addresses: Addresses) -> None:
        """Copy the saved cloud to an empty folder, with new addresses; raises KeyError if nothing is saved."""
        with only_one("saved"):
            deployment = self.find()
            if deployment is None:
                raise KeyError(self.key)
            self._folder.touch()
            shutil.copytree(self._folder / "emulator", folder / "emulator")
            for name in FILES:
                shutil.copy(self._folder / name, folder / name)
        before, after = asdict(deployment.addresses), asdict(addresses)
        moves = {before[service]: after[service] for service in before}
        for file in [*(folder / "emulator").glob("*.json"), *(folder / name for name in FILES)]:
            file.write_text(move(file.read_text("utf-8"), moves), "utf-8")

    def keep(self, folder: Path, deployment: Deployment) -> None:
        """Save the states of the emulator and of Terraform and the outputs in `folder`; replace the saved cloud."""
        with only_one("saved"):
            SAVED.mkdir(parents=True, exist_ok=True)
            draft = SAVED / f"{self.key}.new"
            remove(draft)
            draft.mkdir(mode=0o700)
            shutil.copytree(folder / "emulator", draft / "emulator")
            for name in FILES:
                shutil.copy(folder / name, draft / name)
            (draft / "deployment.json").write_text(json.dumps(asdict(deployment), indent=2) + "\n", "utf-8")
            remove(self._folder)
            draft.rename(self._folder)
            by_use = sorted(SAVED.iterdir(), key=lambda saved: saved.stat().st_mtime)
            for old in by_use[:-KEPT]:
                remove(old)


def cloud_key(root: Path, variables: Variables) -> str:
    """Return a hash of a cloud's inputs except the zip: Terraform root, workflow, variables, emulator, patches."""
    digest = hashlib.sha256(json.dumps(variables, sort_keys=True).encode())
    own = Path(__file__).parent
    files = [*sorted(root.rglob("*.tf")), PROJECT_ROOT / "state-machine.asl.json"]
    files += [own / "emulator-requirements.txt", *sorted((own / "ministack_patches").glob("*.py"))]
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def move(text: str, moves: Mapping[str, str]) -> str:
    """Replace addresses (`host:port`) in `text`: complete addresses only, in one pass."""
    pattern = "|".join(re.escape(address) for address in moves)
    return re.sub(rf"(?<![\w.])(?:{pattern})(?!\d)", lambda found: moves[found.group()], text)


def remove(path: Path) -> None:
    """Delete a file or folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
