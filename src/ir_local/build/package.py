"""Packs our package and its dependencies into one reproducible zip, with a report of what takes how much room."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ir_local.build import bytecode, contents
from ir_local.build.dependencies import Target, installed, locked_requirements
from ir_local.build.errors import PackageTooLargeError
from ir_local.build.project import PROJECT_ROOT, SOURCES

MAXIMUM_SIZE = 12 * 1024 * 1024
"""Bytes of the zip. Lambda takes 50 MB directly; the limit keeps deployments and cold starts quick."""

EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of every entry: the earliest that a zip can hold."""

REPORT_NAME = "package.json"


@dataclass(frozen=True)
class Package:
    """A finished zip. `built` is False if it was there already and nothing that goes into it has changed."""

    path: Path
    sha256: str
    size: int
    built: bool


def build_package(target: Target, output: Path) -> Package:
    """Write the zip for `target` to `output`, and its part of `package.json` beside it.

    The same sources and lock give the same bytes (with the same zlib, which compresses, and the same release of Python,
    which compiles). `package.json` holds for each zip by its file name: sha256, bytes, Python, the release whose
    bytecode is in it (null: none), architecture, and for each distribution version, number of files, bytes, and
    compressed bytes. Raises BuildError; then the output is as it was.
    """
    contents.check_services(SOURCES)
    inputs = _hash_of_inputs(target)
    report = _read_report(output)
    earlier = report.get(output.name, {})
    if earlier.get("inputs") == inputs and output.exists() and earlier.get("sha256") == _sha256(output.read_bytes()):
        return Package(output, str(earlier["sha256"]), output.stat().st_size, built=False)

    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".package-") as scratch:
        draft = Path(scratch, output.name)
        distributions = _write_zip(draft, target)
        size = draft.stat().st_size
        if size > MAXIMUM_SIZE:
            largest = sorted(distributions, key=lambda name: -int(distributions[name]["compressed_bytes"]))[:5]
            raise PackageTooLargeError(f"{output.name} is {size} bytes, more than {MAXIMUM_SIZE}; largest: {largest}")
        sha256 = _sha256(draft.read_bytes())
        draft.replace(output)
        report[output.name] = {
            "sha256": sha256,
            "bytes": size,
            "python": target.python_version(),
            "bytecode": target.compiled_by(),
            "architecture": target.architecture or "this machine",
            "distributions": distributions,
            "inputs": inputs,
        }
        new_report = Path(scratch, REPORT_NAME)
        new_report.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", "utf-8")
        new_report.replace(output.with_name(REPORT_NAME))
    return Package(output, sha256, size, built=True)


def _hash_of_inputs(target: Target) -> str:
    digest = hashlib.sha256()
    texts = [locked_requirements(), target.python_version(), str(target.compiled_by()), *target.install_options()]
    files = [*contents.source_files(SOURCES), *sorted(Path(__file__).parent.glob("*.py"))]
    for part in [*(text.encode() for text in texts), *(data for file in files for data in _named(file))]:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _named(file: Path) -> tuple[bytes, bytes]:
    return str(file.relative_to(SOURCES.parent)).encode(), file.read_bytes()


def _read_report(output: Path) -> dict[str, dict[str, object]]:
    path = output.with_name(REPORT_NAME)
    if not path.exists():
        return {}
    report: dict[str, dict[str, object]] = json.loads(path.read_text("utf-8"))
    return report


def _write_zip(path: Path, target: Target) -> dict[str, dict[str, int | str]]:
    site = installed(target)
    owners, distributions = _distributions(site)
    entries: dict[str, Path] = {}
    for file in site.rglob("*"):
        name = PurePosixPath(file.relative_to(site).as_posix())
        if file.is_file() and contents.is_packed_dependency_file(name):
            entries[str(name)] = file
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    distributions[project["name"]] = _empty_report(project["version"])
    own = path.with_name("own")
    for name_in_zip, file in _own_files(own, target).items():
        entries[name_in_zip] = file
        owners[name_in_zip] = project["name"]

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry_name in sorted(entries):
            entry = zipfile.ZipInfo(entry_name, EARLIEST_TIME)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, entries[entry_name].read_bytes(), compresslevel=9)
        for entry in archive.infolist():
            part = distributions[_owner(owners, entry.filename)]
            part["files"] = int(part["files"]) + 1
            part["bytes"] = int(part["bytes"]) + entry.file_size
            part["compressed_bytes"] = int(part["compressed_bytes"]) + entry.compress_size
    return distributions


def _own_files(folder: Path, target: Target) -> dict[str, Path]:
    """Our own package, by the names in the zip: its files, and in the new `folder` its compiled modules."""
    for file in contents.source_files(SOURCES):
        copy = folder / file.relative_to(SOURCES.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    if compiler := target.compiler():
        bytecode.compile_modules(folder, compiler)
    return {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}


def _owner(owners: dict[str, str], name: str) -> str:
    path = PurePosixPath(name)
    return owners[str(bytecode.source_of(path)) if path.suffix == ".pyc" else name]


def _distributions(site: Path) -> tuple[dict[str, str], dict[str, dict[str, int | str]]]:
    """Which distribution each installed file belongs to, by the RECORDs, and an empty report for each distribution."""
    owners: dict[str, str] = {}
    distributions: dict[str, dict[str, int | str]] = {}
    for record in sorted(site.glob("*.dist-info/RECORD")):
        name, version = record.parent.name.removesuffix(".dist-info").rsplit("-", 1)
        name = name.replace("_", "-").lower()
        distributions[name] = _empty_report(version)
        owners.update(dict.fromkeys(recorded_files(record), name))
    return owners, distributions


def recorded_files(record: Path) -> Iterator[str]:
    """The files that a RECORD names, as paths below the installation folder."""
    with record.open(newline="", encoding="utf-8") as lines:
        for path, _hash, _size in csv.reader(lines):
            yield path


def _empty_report(version: str) -> dict[str, int | str]:
    return {"version": version, "files": 0, "bytes": 0, "compressed_bytes": 0}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
