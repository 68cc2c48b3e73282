"""The sub-command release: write the files of this version to build/release, and print the command for its tag."""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ir_operator import environment, terminal
from ir_operator.build.dependencies import PLATFORMS, Target
from ir_operator.build.package import build_package
from ir_operator.project import LAMBDA_PYTHON, Checkout, checkout
from ir_operator.release import bill_of_materials
from ir_operator.release.errors import ReleaseError

CHECKSUMS = "SHA256SUMS"


def execute_command(options: argparse.Namespace) -> int:  # noqa: ARG001 - release has no options
    """Make the release and return 0.

    Raises:
        CommandError: The clone is not ready for a release, or a file cannot be built.
    """
    clone = checkout()
    version = clone.version
    _require_clean_tree(clone)
    _require_changelog(clone, version)
    folder = clone.build / "release"
    clone.build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=clone.build, prefix=".release-") as scratch:
        draft = Path(scratch)
        make_files(clone, draft)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(draft, folder)
    for file in sorted(folder.iterdir()):
        terminal.line("ok", f"{file.relative_to(clone.root)}  {file.stat().st_size / 1024:,.0f} KiB")
    print()
    if Target("arm64").compiler() is None:
        terminal.line("warning", f"python{LAMBDA_PYTHON} is missing, so the zips have no compiled modules")
    terminal.line("ok", f"release {version} is ready. Publish it: git tag -s v{version} && git push origin v{version}")
    return 0


def make_files(clone: Checkout, folder: Path) -> None:
    """Write all files of the release to an empty folder.

    Raises:
        BuildError: A zip cannot be built.
        ReleaseError: The wheel or the bill of materials cannot be made.
    """
    version = clone.version
    for architecture in PLATFORMS:
        built = build_package(Target(architecture), clone.build / f"ir_router-{architecture}.zip")
        shutil.copyfile(built.path, folder / f"ir_router-{version}-{architecture}.zip")
    _build_wheel(clone, folder)
    bill = bill_of_materials.make(clone, Target("arm64"))
    (folder / f"ir_router-{version}.cdx.json").write_text(bill, "utf-8")
    sums = [f"{_sha256(file)}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / CHECKSUMS).write_text("".join(sums), "utf-8")


def _require_clean_tree(clone: Checkout) -> None:
    command, given = ["git", "status", "--porcelain"], environment.for_git()
    answer = subprocess.run(command, cwd=clone.root, env=given, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise ReleaseError(f"No release was made: git status failed: {answer.stderr.strip()}")
    if answer.stdout:
        raise ReleaseError(
            f"No release was made: there are uncommitted files ({len(answer.stdout.splitlines())}). "
            "Commit or remove them (git status), then run the command again."
        )


def _require_changelog(clone: Checkout, version: str) -> None:
    changelog = clone.root / "CHANGELOG.md"
    text = changelog.read_text("utf-8") if changelog.exists() else ""
    if not re.search(rf"^## \[{re.escape(version)}\]", text, re.MULTILINE):
        raise ReleaseError(
            f"No release was made: CHANGELOG.md has no section for {version}. Add the heading `## [{version}]`."
        )


def _build_wheel(clone: Checkout, folder: Path) -> None:
    # This uses the locked hatchling. An isolated build would use the newest one.
    answer = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=clone.root,
        env=environment.for_build(),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise ReleaseError(
            "No release was made, because the wheel cannot be built. Run `make release` in the clone.\n"
            f"{answer.stderr.strip()}"
        )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
