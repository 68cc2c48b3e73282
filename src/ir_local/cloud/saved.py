"""Deployed clouds kept on disk, so that only the first start waits for Terraform.

What is kept holds the loopback addresses of the run that made it (queue URLs, environments of functions, Terraform's
state). They are replaced when it is used again, so every run can take free ports.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ir_local.build.project import LOCAL, PROJECT_ROOT
from ir_local.cloud.run_folder import only_one

SAVED = LOCAL / "saved"
KEPT = 4
"""So many deployed clouds are kept, the last used ones."""

OUTPUTS = "outputs.json"
FILES = ("terraform.tfstate", OUTPUTS)
"""What is kept beside the emulator's folder `emulator`."""

Variables = Mapping[str, object]


@dataclass(frozen=True)
class Addresses:
    """Where the three services of a cloud listen, as `host:port`."""

    aws: str
    security_ir: str
    slack: str


@dataclass(frozen=True)
class SlackCredentials:
    """What the Slack app of a cloud is known by; made up, and of no worth outside it."""

    bot_token: str
    signing_secret: str
    team_id: str


@dataclass(frozen=True)
class Deployment:
    """A deployed cloud: of which zip, for which Slack app, and at which addresses it was when it was kept."""

    package_sha256: str
    credentials: SlackCredentials
    addresses: Addresses


class SavedCloud:
    """The place on disk of the cloud that a Terraform root and its variables make on this emulator."""

    def __init__(self, key: str) -> None:
        """For the key that `cloud_key` gives."""
        self.key = key
        self._folder = SAVED / key

    def find(self) -> Deployment | None:
        """What is kept, if anything."""
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
        """Copy what is kept into the empty `folder`, moved to other addresses; raises KeyError if nothing is."""
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
        """Keep the state of emulator and Terraform and the outputs of `folder` in the place of what was kept before."""
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
    """What a deployed cloud depends on besides the zip: Terraform root, workflow, variables, emulator and patches."""
    digest = hashlib.sha256(json.dumps(variables, sort_keys=True).encode())
    own = Path(__file__).parent
    files = [*sorted(root.glob("*.tf")), PROJECT_ROOT / "state-machine.asl.json"]
    files += [own / "emulator-requirements.txt", *sorted((own / "ministack_patches").glob("*.py"))]
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def move(text: str, moves: Mapping[str, str]) -> str:
    """`text` with addresses (`host:port`) replaced, all at once, and only whole ones."""
    pattern = "|".join(re.escape(address) for address in moves)
    return re.sub(rf"(?<![\w.])(?:{pattern})(?!\d)", lambda found: moves[found.group()], text)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
