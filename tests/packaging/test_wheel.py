"""The wheel: its contents, and the command `ir-router` as an installation without a clone runs it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

from ir_operator.parser import COMMANDS
from ir_operator.project import PROJECT_ROOT
from ir_router import __version__
from tests.packaging.test_build import imports_of


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # The locked hatchling: no isolated environment, so no network.
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=PROJECT_ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ir-router` of a fresh environment; its dependencies are those of the running environment."""
    environment = tmp_path_factory.mktemp("installed")
    subprocess.run([find_uv_bin(), "venv", "--quiet", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    install = [
        find_uv_bin(),
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--python",
        str(python),
        str(wheel),
    ]
    subprocess.run(install, check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin" / "ir-router"


def run(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run without AWS credentials and without any variable that points to this clone."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return subprocess.run([program, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_given_the_wheel_when_listed_then_it_holds_both_packages_with_their_data_and_nothing_else(wheel: Path) -> None:
    sources = {
        path.relative_to(PROJECT_ROOT / "src").as_posix()
        for package in ("ir_router", "ir_operator")
        for path in (PROJECT_ROOT / "src" / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    metadata = f"ir_router-{__version__}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(metadata)}
        described = archive.read(f"{metadata}METADATA").decode()
        scripts = archive.read(f"{metadata}entry_points.txt").decode()

    assert names == sources
    assert "ir_router/workflow/detections.json" in names
    assert f"\nVersion: {__version__}\n" in described
    assert scripts.split() == ["[console_scripts]", "ir-router", "=", "ir_operator.__main__:main"]


def test_given_the_wheels_modules_when_their_imports_are_read_then_each_is_a_declared_dependency() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.split(r"[>=<]", requirement)[0].replace("-", "_") for requirement in project["dependencies"]}
    # boto3 brings botocore and urllib3; build and release run in a clone, which has the tools.
    known = declared | {"botocore", "urllib3", "ir_router", "ir_operator"} | set(sys.stdlib_module_names)
    in_clone = {"uv", "cyclonedx", "packageurl"}

    for package in ("ir_router", "ir_operator"):
        for file in (PROJECT_ROOT / "src" / package).rglob("*.py"):
            tree = ast.parse(file.read_text("utf-8"))
            found = {name.partition(".")[0] for name, _ in imports_of(tree)}
            allowed = in_clone if file.parent.name in ("build", "release") else set()
            assert found <= known | allowed, file
            at_start = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
            imported = {name.partition(".")[0] for node in at_start for name, _ in imports_of(node)}
            assert in_clone.isdisjoint(imported), file


def test_given_the_installed_command_when_asked_for_help_then_it_lists_the_commands(
    program: Path, tmp_path: Path
) -> None:
    answer = run(program, tmp_path, "--help")

    assert (answer.returncode, answer.stderr) == (0, "")
    assert all(f"    {name} " in answer.stdout for name in COMMANDS)
    assert run(program, tmp_path, "--version").stdout == f"ir-router {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["verify", "--prefix", "x", "--region", "us-east-1"], "there are no AWS credentials. Set AWS_PROFILE"),
        (["verify", "--prefix", "x"], "Add --region us-east-1."),
        (["verify"], "Change to a clone and run the command again. Or name the deployment: --prefix"),
        (["rotate", "--prefix", "x", "--region", "us-east-1"], "there are no AWS credentials. Set AWS_PROFILE"),
        (["build"], "Change to a clone and run the command again."),
        (["deploy"], "Change to a clone and run the command again."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_given_the_installed_command_when_something_is_missing_then_one_line_names_the_fix(
    program: Path, tmp_path: Path, arguments: list[str], fix: str
) -> None:
    answer = run(program, tmp_path, *arguments)

    assert answer.returncode == 1
    assert fix in answer.stderr
    assert answer.stderr.startswith("failed   ")
    assert answer.stderr.count("\n") == 1


def test_given_the_installed_command_when_logs_are_backtested_then_the_detections_table_is_in_the_wheel(
    program: Path, tmp_path: Path
) -> None:
    (tmp_path / "trail.json").write_text('{"Records": []}')

    answer = run(program, tmp_path, "backtest", "trail.json")

    assert (answer.returncode, answer.stderr) == (0, "")
    assert "Detection create_access_key" in answer.stdout
