"""The folders of the functions: ir-router's zip as Lambda unpacks it, and the baseline as pip installs it."""

from __future__ import annotations

import re
import shutil
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from ir_operator.build.bytecode import compile_modules
from ir_operator.project import local_interpreter

_BASELINE = ("boto3", "slack-bolt")
# Not imported here, because they create their clients on import.
_BASELINE_HANDLERS = tuple(
    Path(__file__).with_name(f"{name}.py") for name in ("slack_bolt_handler", "handwritten_containment")
)


def unpack(package: Path, folder: Path) -> Path:
    """Unpack the zip into a new folder."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder


def baseline(folder: Path) -> Path:
    """Create the baseline: slack_bolt, boto3, their dependencies and the handlers, compiled, as `pip install --target`
    does.

    The packages are copied from this environment. All are pure Python, so pip would install the same files.
    """
    for name in _closure(_BASELINE):
        for file in distribution(name).files or []:
            if file.suffix == ".pyc" or file.parts[0] in ("..", "bin"):
                continue
            copy = folder / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), copy)
    for handler in _BASELINE_HANDLERS:
        shutil.copy(handler, folder)
    compile_modules(folder, local_interpreter())
    return folder


def without_compiled_modules(folder: Path, copy: Path) -> Path:
    """Copy a folder without its compiled modules."""
    return Path(shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__")))


def _closure(names: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        needed = [one for one in distribution(name).requires or [] if "extra ==" not in one]
        waiting += [re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in needed]
    return found
