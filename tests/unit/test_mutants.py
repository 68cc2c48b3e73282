"""The mutation tool: the mutants that it draws, detects and leaves out."""

from __future__ import annotations

import itertools
import json
import random

import pytest

from ir_operator.project import PROJECT_ROOT
from tests.support.mutated_source import SOURCE, mutants, one
from tests.trials.mutants import coverage_map, mutate, report, sample
from tests.trials.mutants.mutant import PACKAGES, Mutant
from tests.trials.mutants.mutant import SOURCE as SOURCE_FOLDER
from tests.trials.mutants.sample import Equivalents
from tests.trials.mutants.trying import Verdict


def test_given_a_source_when_it_is_mutated_then_each_kind_of_change_is_there_and_is_python() -> None:
    changes = {(mutant.kind, mutant.mutated) for mutant in mutants()}
    assert ("comparison", "if (value <= LIMIT) and value >= low:") in changes
    assert ("boolean", "if (value < LIMIT or value >= low):") in changes
    assert ("condition", "if (not (value < LIMIT and value >= low)):") in changes
    assert ("constant", 'return ("many_")') in {(kind, text.replace("'", '"')) for kind, text in changes}
    assert ("return", "return None") in changes
    assert ("text", "return (f' few')") in changes
    assert ("handler", "except (ValueError,):") in changes
    assert ("handler", "raise") in changes
    assert ("boundary", "return (rows[:])") in changes
    assert {mutant.function for mutant in mutants()} == {"", "grade", "unused"}
    assert not [mutant for mutant in mutants() if '"""' in mutant.original]
    assert all(mutate.changes_something(mutant, SOURCE) for mutant in mutants())


@pytest.mark.parametrize(
    ("condition", "changed"),
    [
        ("state = :a", "state = :a OR attribute_exists(PK) OR attribute_not_exists(PK)"),
        ("a = :a AND b = :b", "(a = :a) AND (b = :b OR attribute_exists(PK) OR attribute_not_exists(PK))"),
        ("a = :a OR b < :b", "(a = :a) OR (b < :b AND attribute_exists(PK) AND attribute_not_exists(PK))"),
    ],
)
def test_given_a_conditional_write_when_it_is_mutated_then_the_condition_or_a_clause_counts_no_more(
    condition: str, changed: str
) -> None:
    source = f'def save(key):\n    table.update(key, "SET a = :a", "{condition}", a=1, b=2)\n'.encode()
    found = [mutant for mutant in mutate.of_source("tiny.py", source) if mutant.kind == "write condition"]
    assert changed in str([mutant.mutated for mutant in found])


def test_given_a_log_line_a_docstring_and_prose_when_they_are_mutated_then_nothing_is() -> None:
    source = (
        b'def say():\n    """It says it."""\n    logger.info("said", extra={"a": 1})\n    x("four words of prose")\n'
    )
    assert {mutant.kind for mutant in mutate.of_source("tiny.py", source)} == {"deletion"}


def test_given_a_seed_when_a_sample_is_drawn_then_it_is_a_function_of_the_seed_and_even_by_package() -> None:
    pool = [
        Mutant(f"{package}/a.py", "f", line, kind, line, line, "x", f"{kind} {line}", "x", (line,))
        for package, kind, line in itertools.product(("sync", "ledger", "ops"), ("constant", "return"), range(30))
    ]
    nothing = Equivalents([])
    first = sample.draw(pool, 7, 18, nothing)
    shuffled = random.Random(1).sample(pool, len(pool))
    assert sample.draw(shuffled, 7, 18, nothing) == first
    assert sample.draw(pool, 8, 18, nothing) != first
    drawn = [(mutant.package, mutant.kind) for mutant in first.mutants]
    assert {pair: drawn.count(pair) for pair in drawn} == dict.fromkeys(
        itertools.product(("sync", "ledger", "ops"), ("constant", "return")), 3
    )


def test_given_an_equivalent_when_lines_move_then_it_is_left_out_and_when_its_source_is_gone_then_it_is_stale() -> None:
    planted = one("LIMIT = 3", "LIMIT = (4)")
    names = ("file", "function", "original", "mutated")
    entry = {**dict(zip(names, planted.key, strict=True)), "reason": "an example"}
    gone = {**entry, "original": "LIMIT = 9"}
    equivalents = Equivalents([entry, gone])

    moved = mutate.of_source("tiny.py", b"# One line more.\n" + SOURCE)
    drawn = sample.draw(moved, 1, 1_000, equivalents)
    assert [mutant.key for mutant in drawn.equivalent] == [planted.key]
    assert planted.key not in [mutant.key for mutant in drawn.mutants]
    assert equivalents.stale(moved) == [f"tiny.py : LIMIT = 9  =>  {planted.mutated}"]
    with pytest.raises(ValueError, match="needs a reason"):
        Equivalents([{**entry, "reason": ""}])


def test_given_only_when_mutants_are_chosen_then_a_package_a_file_and_an_id_name_them() -> None:
    assert sample.chosen(mutants(), "root") == mutants()
    assert sample.chosen(mutants(), "src/ir_router/tiny.py") == mutants()
    assert sample.chosen(mutants(), mutants()[3].id) == [mutants()[3]]
    assert sample.chosen(mutants(), "sync") == []


def test_given_scores_when_a_bound_is_broken_then_a_line_says_which_and_small_packages_have_none() -> None:
    def verdicts(package: str, detected: int, count: int) -> list[Verdict]:
        made = Mutant(f"{package}/a.py", "f", 1, "return", 0, 0, "", "", "", ())
        return [Verdict(made, number < detected, "", 1) for number in range(count)]

    good = report.figures(1, verdicts("sync", 90, 100) + verdicts("ops", 3, 7), [])
    assert report.broken(good) == ["87% of the mutants were detected; the bound is 90%"]
    bad = report.figures(1, verdicts("sync", 100, 100) + verdicts("ops", 6, 8), [])
    assert report.broken(bad) == ["ops: 75% were detected; the bound is 85%"]


def test_given_the_tests_that_a_mutant_runs_when_their_paths_are_read_then_each_exists() -> None:
    missing = [name for name in coverage_map.TESTED if not (PROJECT_ROOT / name).exists()]

    assert missing == []


def test_given_the_folders_of_tests_when_listed_then_each_is_run_for_mutants_or_left_out_on_purpose() -> None:
    tests = PROJECT_ROOT / "tests"
    folders = {path.parent.relative_to(PROJECT_ROOT).as_posix() for path in tests.glob("*/test_*.py")}
    listed = {*coverage_map.TESTED, *coverage_map.NOT_TESTED}

    # Of `tests/trials` single files run: the others test the trials themselves.
    assert folders - {"tests/trials"} - listed == set()
    assert {name for name in coverage_map.NOT_TESTED if name not in folders} == set()


def test_given_the_equivalent_mutants_when_read_then_each_is_a_mutant_of_the_source() -> None:
    files = {entry["file"] for entry in json.loads(sample.EQUIVALENTS.read_text("utf-8"))}
    found = [one for file in files for one in mutate.of_source(file, (SOURCE_FOLDER / file).read_bytes())]

    assert Equivalents.read().stale(found) == []


def test_given_the_packages_of_the_source_when_listed_then_a_sample_draws_from_each() -> None:
    root = PROJECT_ROOT / SOURCE_FOLDER
    folders = {file.relative_to(root).parts[0] for file in root.rglob("*.py")}
    assert {"root" if name.endswith(".py") else name for name in folders} == set(PACKAGES)
