"""The mutation tool on a small project: its recorded map, and the mutants that it detects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mutated_source import SOURCE, mutants, one
from tests.trials.mutants import coverage_map, mutate, report
from tests.trials.mutants.__main__ import try_sample

TEST = """from ir_router.tiny import grade


def test_grade():
    assert [grade(number) for number in (0, 1, 2, 3)] == ["many", "1 few", "2 few", "many"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, content in {
        "src/ir_router/__init__.py": b"",
        "src/ir_router/tiny.py": SOURCE,
        "tests/unit/test_tiny.py": TEST.encode(),
        "pyproject.toml": b'[tool.pytest.ini_options]\npythonpath = ["src", "."]\naddopts = "--import-mode=importlib"',
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    tool = root / "tests" / "trials" / "mutants"
    tool.parent.mkdir(parents=True)
    tool.symlink_to(Path(mutate.__file__).parent)
    return root


def test_given_planted_mutants_when_their_tests_run_then_they_are_detected_unless_no_test_notices(
    project: Path, tmp_path: Path
) -> None:
    noticed = one("if value < LIMIT and value >= low:", "if (value <= LIMIT) and value >= low:")
    at_import = next(mutant for mutant in mutants() if mutant.original == "LIMIT = 3")
    no_test = one("return rows[1:]", "return (rows[:])")
    never_raised = one("except (TypeError, ValueError):", "except (ValueError,):")

    verdicts = try_sample([noticed, at_import, no_test, never_raised], [project], tmp_path / "kept")

    assert [verdict.detected for verdict in verdicts] == [True, True, False, False]
    assert verdicts[0].by == "tests/unit/test_tiny.py::test_grade"
    assert (project / "src" / "ir_router" / "tiny.py").read_bytes() == SOURCE
    result = report.figures(7, verdicts, [])
    assert (result["seed"], result["n"], result["detected"], result["score"]) == (7, 4, 2, 0.5)
    assert [entry["id"] for entry in result["survived"]] == [no_test.id, never_raised.id]


def test_given_a_recorded_map_when_sources_change_then_lines_keep_their_tests_and_new_ones_take_their_neighbours(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coverage_map.load(project, tmp_path / "kept")
    changed = SOURCE.replace(b"LIMIT = 3", b"# A comment moves the lines.\nLIMIT = 3").replace(
        b'return f"{value} few"', b'few = "few"\n            return f"{value} {few}"'
    )
    (project / "src" / "ir_router" / "tiny.py").write_bytes(changed)
    monkeypatch.setattr(coverage_map, "record", lambda *_: pytest.fail("it was recorded again"))

    moved = coverage_map.load(project, tmp_path / "kept")

    found = {mutant.original: moved.covering(mutant) for mutant in mutate.of_source("tiny.py", changed)}
    grade = ["tests/unit/test_tiny.py::test_grade"]
    assert found["if value < LIMIT and value >= low:"] == found['few = "few"'] == grade
    assert found['return f"{value} {few}"'] == found['return "many"'] == found["LIMIT = 3"] == grade
    assert found["return rows[1:]"] == []


def test_given_a_project_whose_tests_cannot_run_when_mutants_are_tried_then_none_counts_as_detected(
    project: Path, tmp_path: Path
) -> None:
    coverage_map.load(project, tmp_path / "kept")
    (project / "tests" / "conftest.py").write_text("def pytest_unknown_hook():\n    pass\n")

    with pytest.raises(RuntimeError, match="do not run without a mutant"):
        try_sample([one("return rows[1:]", "return (rows[:])"), mutants()[0]], [project], tmp_path / "kept")


def test_given_cases_that_name_a_module_when_its_tests_are_put_in_order_then_they_come_first() -> None:
    numbers = "tests/unit/test_numbers.py::test_numbers"
    names = ["tests/unit/test_tiny.py::test_grade", f"{numbers}[other]", f"{numbers}[tiny]"]
    mutant = one("return rows[1:]", "return (rows[:])")
    lines = {"tiny.py": list(mutant.lines)}
    covered = coverage_map.CoverageMap({name: {"seconds": 1, "passed": True, "lines": lines} for name in names})

    assert covered.covering(mutant) == [names[2], names[0], names[1]]
