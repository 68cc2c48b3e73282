"""A private copy of the project: mutants are made there, and the checkout is never edited."""

from __future__ import annotations

import compileall
import contextlib
import io
import shutil
from pathlib import Path

from ir_operator.project import PROJECT_ROOT

_FOLDERS = ("src", "tests", "terraform", "docs")
_LINKED = (".venv", ".local")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".terraform", "node_modules", "*.tfstate*")


def make(folder: Path, root: Path = PROJECT_ROOT) -> Path:
    """Copy the project to `folder`. Large folders that the tests never write are linked."""
    folder.mkdir(parents=True)
    for name in _FOLDERS:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=_LEFT_OUT)
    for file in root.iterdir():
        if file.is_file() and not file.name.startswith(".env"):
            shutil.copy2(file, folder / file.name)
    for name in _LINKED:
        if (root / name).exists():
            (folder / name).symlink_to(root / name)
    with contextlib.redirect_stdout(io.StringIO()):
        compileall.compile_dir(folder / "src", quiet=2)
    return folder
