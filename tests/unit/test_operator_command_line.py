"""The command line of `ir-router`, and how its commands find a clone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ir_operator import parser, project
from ir_operator.__main__ import main
from ir_operator.build.dependencies import PLATFORMS
from ir_operator.project import NoCheckoutError, checkout
from ir_router import __version__
from ir_router.ops.replay import LIMIT

ROOT = Path(__file__).parents[2]
OPERATOR = ROOT / "src" / "ir_operator"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty current directory, for code that lies in no clone."""
    monkeypatch.setattr(project, "PROJECT_ROOT", tmp_path / "lib")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path


def clone(folder: Path, name: str = "ir-router") -> Path:
    (folder / "terraform").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    return folder


def test_given_help_when_printed_then_every_command_has_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])

    assert end.value.code == 0
    listed = re.findall(r"^    ([a-z]+)  +(\S.+)$", capsys.readouterr().out, re.MULTILINE)
    assert dict(listed) == {name: command.help for name, command in parser.COMMANDS.items()}


def test_given_the_version_option_when_run_then_the_packages_version_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])

    assert end.value.code == 0
    assert capsys.readouterr().out == f"ir-router {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["resync"], ["backtest"], ["plan", "--prefix", "x"]])
def test_given_a_wrong_command_line_when_run_then_the_code_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 2


def test_given_the_parsers_values_when_compared_then_they_are_those_of_their_owners() -> None:
    assert set(parser.ARCHITECTURES) == set(PLATFORMS)
    assert parser.parser().parse_args(["replay"]).limit == LIMIT


def test_given_this_clone_when_searched_from_elsewhere_then_it_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert checkout().root == ROOT
    assert checkout().version == __version__


def test_given_installed_code_when_the_current_directory_is_below_a_clone_then_that_clone_is_found(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = clone(installed / "clone")
    (found / "docs").mkdir()
    monkeypatch.chdir(found / "docs")

    assert checkout().root == found


@pytest.mark.parametrize("content", ['[project]\nname = "other"\n', "[tool.x]\n", "[", "\udcff"])
def test_given_the_files_of_another_project_when_searched_then_they_are_no_clone(installed: Path, content: str) -> None:
    folder = clone(installed / "empty" / "other")
    (folder / "pyproject.toml").write_bytes(content.encode("utf-8", "surrogateescape"))

    with pytest.raises(NoCheckoutError, match="is not in a clone of ir-router"):
        checkout()


@pytest.mark.parametrize("command", ["build", "plan", "deploy", "verify", "rotate", "replay", "resync 1"])
def test_given_no_clone_when_a_command_needs_one_then_the_message_names_the_fix(
    installed: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main(command.split()) == 1

    printed = capsys.readouterr().err
    assert printed.startswith("failed   ")
    assert "Change to a clone and run the command again." in printed
    assert ("name the deployment: --prefix" in printed) == (command.split()[0] not in ("build", "plan", "deploy"))


def test_given_the_operators_modules_when_read_then_none_uses_the_constants_of_a_clone() -> None:
    for file in OPERATOR.rglob("*.py"):
        names = {
            alias.name
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module == "ir_operator.project"
            for alias in node.names
        }
        assert not names & {"PROJECT_ROOT", "SOURCES", "BUILD", "LOCAL"}, file


def test_given_the_operators_modules_when_read_then_they_import_no_sandbox_and_no_tests() -> None:
    for file in OPERATOR.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {module.split(".")[0] for module in modules} & {"ir_sandbox", "tests"}, file
