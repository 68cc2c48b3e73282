"""The folders that functions are imported from: our zip as Lambda unpacks it, and the baseline's as pip leaves it."""

from __future__ import annotations

import re
import shutil
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from ir_local.build.bytecode import compile_modules
from ir_local.build.project import local_interpreter

_BASELINE = ("boto3", "slack-bolt")
# Not imported here: it makes its clients when it is imported.
_BASELINE_HANDLER = Path(__file__).with_name("slack_bolt_handler.py")


def unpack(package: Path, folder: Path) -> Path:
    """The zip's files in a new folder."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder


def baseline(folder: Path) -> Path:
    """slack_bolt, boto3 and what they need, with the handler, as `pip install --target` leaves them: compiled.

    They are copied from the environment that runs us: all are pure Python, so they are what pip would fetch.
    """
    for name in _closure(_BASELINE):
        for file in distribution(name).files or []:
            if file.suffix == ".pyc" or file.parts[0] in ("..", "bin"):
                continue
            copy = folder / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), copy)
    shutil.copy(_BASELINE_HANDLER, folder)
    compile_modules(folder, local_interpreter())
    return folder


def without_compiled_modules(folder: Path, copy: Path) -> Path:
    """The same without compiled modules, as a folder is packed that leaves them out."""
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
