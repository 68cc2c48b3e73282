"""`make release`: its files, its bill of materials, and when it refuses."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ir_operator.__main__ import main
from ir_operator.project import PROJECT_ROOT, Checkout
from ir_operator.release import command
from ir_router import __version__
from tests.packaging.test_build import locked_packages

CLONE = Checkout(PROJECT_ROOT)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    command.make_files(CLONE, folder)
    return folder


@pytest.fixture(scope="module")
def bill(release: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((release / f"ir_router-{__version__}.cdx.json").read_text("utf-8"))
    return content


def test_given_a_release_when_listed_then_every_file_is_named_by_its_version(release: Path) -> None:
    assert {file.name for file in release.iterdir()} == {
        f"ir_router-{__version__}-arm64.zip",
        f"ir_router-{__version__}-x86_64.zip",
        f"ir_router-{__version__}-py3-none-any.whl",
        f"ir_router-{__version__}.cdx.json",
        "SHA256SUMS",
    }
    for architecture, machine in (("arm64", "aarch64"), ("x86_64", "x86_64")):
        with zipfile.ZipFile(release / f"ir_router-{__version__}-{architecture}.zip") as archive:
            native = [name for name in archive.namelist() if name.endswith(".so")]
            assert native
            assert all(f"{machine}-linux-gnu" in name for name in native)
            assert f'__version__ = "{__version__}"' in archive.read("ir_router/__init__.py").decode()


def test_given_the_checksums_when_verified_then_they_hold_for_every_other_file(release: Path) -> None:
    lines = (release / "SHA256SUMS").read_text("utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}

    assert set(sums) == {file.name for file in release.iterdir()} - {"SHA256SUMS"}
    for name, expected in sums.items():
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == expected


def test_given_the_bill_of_materials_when_compared_with_the_lock_then_it_lists_exactly_the_runtime_packages(
    bill: dict[str, Any],
) -> None:
    locked = locked_packages()

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert {entry["name"]: entry["version"] for entry in bill["components"]} == {
        name: entry["version"] for name, entry in locked.items()
    }
    for entry in bill["components"]:
        files = {file["url"]: file["hash"] for file in locked[entry["name"]]["wheels"]}
        listed = {
            reference["url"]: f"sha256:{reference['hashes'][0]['content']}"
            for reference in entry["externalReferences"]
            if reference["hashes"][0]["alg"] == "SHA-256"
        }
        assert listed == files
        assert entry["purl"] == f"pkg:pypi/{entry['name']}@{entry['version']}"


def test_given_the_bill_of_materials_when_its_graph_is_followed_then_every_package_is_reached(
    bill: dict[str, Any],
) -> None:
    graph = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    product = bill["metadata"]["component"]
    reached: set[str] = set()
    waiting = [product["bom-ref"]]
    while waiting:
        found = waiting.pop()
        if found not in reached:
            reached.add(found)
            waiting += graph[found]

    assert product["version"] == __version__
    assert reached - {product["bom-ref"]} == {entry["bom-ref"] for entry in bill["components"]}


# When it refuses


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed clone with a changelog, whose files need not be built."""
    package = tmp_path / "src" / "ir_router"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2026-01-01\n")
    (tmp_path / ".gitignore").write_text("/build/\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    monkeypatch.setattr(command, "checkout", lambda: Checkout(tmp_path))
    monkeypatch.setattr(command, "make_files", lambda _, folder: (folder / "file").write_text("content"))
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Test")


def test_given_a_ready_clone_when_released_then_old_files_are_replaced_and_the_tag_is_shown(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / "build" / "release").mkdir(parents=True)
    (clone / "build" / "release" / "of an earlier version").touch()

    assert main(["release"]) == 0

    assert [file.name for file in (clone / "build" / "release").iterdir()] == ["file"]
    assert [file.name for file in (clone / "build").iterdir()] == ["release"]
    assert "git tag -s v1.2.3" in capsys.readouterr().out.splitlines()[-1]


def test_given_an_uncommitted_file_when_released_then_it_is_refused(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / "new").touch()

    assert main(["release"]) == 1

    assert "there are uncommitted files (1)" in capsys.readouterr().err
    assert not (clone / "build").exists()


@pytest.mark.parametrize("changelog", ["# Changelog\n\n## [1.2.30] - 2026-01-01\n", None])
def test_given_no_section_for_the_version_when_released_then_it_is_refused(
    clone: Path, capsys: pytest.CaptureFixture[str], changelog: str | None
) -> None:
    if changelog is None:
        (clone / "CHANGELOG.md").unlink()
    else:
        (clone / "CHANGELOG.md").write_text(changelog)
    commit(clone)

    assert main(["release"]) == 1

    assert "CHANGELOG.md has no section for 1.2.3" in capsys.readouterr().err
    assert not (clone / "build").exists()


def test_given_a_folder_without_git_when_released_then_it_is_refused(
    clone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(clone / "nowhere"))

    assert main(["release"]) == 1

    assert "git status failed" in capsys.readouterr().err
