"""Which test modules are compiled before the workers of `make test` start."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.compiled import modules_without_result


def test_given_modules_when_looked_at_then_new_and_changed_ones_have_no_result(tmp_path: Path):
    cache = tmp_path / "unit" / "__pycache__"
    cache.mkdir(parents=True)
    for name in ("new", "changed", "kept"):
        (tmp_path / "unit" / f"test_{name}.py").write_text("")
    for name, compiled_at in (("changed", 1_000), ("kept", 3_000)):
        (cache / f"test_{name}.cpython-311-pytest-9.2.0.pyc").write_bytes(b"")
        os.utime(cache / f"test_{name}.cpython-311-pytest-9.2.0.pyc", (compiled_at, compiled_at))
        os.utime(tmp_path / "unit" / f"test_{name}.py", (2_000, 2_000))
    (tmp_path / "conftest.py").write_text("")
    # Python's own result has no rewritten assertions.
    (cache / "test_new.cpython-311.pyc").write_bytes(b"")

    assert [one.name for one in modules_without_result(tmp_path)] == ["test_changed.py", "test_new.py"]
