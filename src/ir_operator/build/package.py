"""Pack ir-router and its dependencies into one reproducible zip, and write a report of the sizes."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ir_operator.build import bytecode, contents, service_data
from ir_operator.build.dependencies import Target, installed, locked_requirements
from ir_operator.build.errors import PackageTooLargeError
from ir_operator.project import checkout

MAXIMUM_SIZE = 12 * 1024 * 1024
"""Maximum size of the zip in bytes. Lambda accepts 50 MB; a lower limit keeps deployments and cold starts fast."""

EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, the earliest that the zip format allows."""

REPORT_NAME = "package.json"

_OWN_NAME = "ir-router"


@dataclass(frozen=True)
class Package:
    """A zip. `built` is False if the zip existed and none of its inputs had changed."""

    path: Path
    sha256: str
    size: int
    built: bool


def build_package(target: Target, output: Path) -> Package:
    """Write the zip to `output`, and its entry to `package.json` in the same folder.

    The same sources and lock give the same bytes, if zlib and the release of Python are the same. `package.json`
    contains for each zip, by file name: sha256, size, Python version, architecture, and the release of Python that
    compiled the modules (null if they are not compiled). For each distribution it contains the version, the number of
    files, and their size before and after compression. All sizes are in bytes.

    Args:
        target: The platform that runs the zip.
        output: The file to write. If the build fails, it stays unchanged.

    Raises:
        BuildError: The zip cannot be built.
    """
    contents.check_services(checkout().sources)
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
            raise PackageTooLargeError(
                f"The zip was not built: {output.name} has {size:,} bytes, more than {MAXIMUM_SIZE:,}. "
                f"Remove a dependency or raise MAXIMUM_SIZE. The largest parts are {', '.join(largest)}."
            )
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
    files = [*contents.source_files(checkout().sources), *sorted(Path(__file__).parent.glob("*.py"))]
    for part in [*(text.encode() for text in texts), *(data for file in files for data in _name_and_content(file))]:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _name_and_content(file: Path) -> tuple[bytes, bytes]:
    sources = checkout().sources
    name = file.relative_to(sources.parent) if file.is_relative_to(sources) else file.name
    return str(name).encode(), file.read_bytes()


def _read_report(output: Path) -> dict[str, dict[str, object]]:
    path = output.with_name(REPORT_NAME)
    if not path.exists():
        return {}
    report: dict[str, dict[str, object]] = json.loads(path.read_text("utf-8"))
    return report


def _write_zip(path: Path, target: Target) -> dict[str, dict[str, int | str]]:
    site = installed(target)
    owners, distributions = _distributions(site)
    endpoints = service_data.endpoint_prefixes(site, contents.AWS_SERVICES)
    entries: dict[str, Path] = {}
    for file in site.rglob("*"):
        name = PurePosixPath(file.relative_to(site).as_posix())
        if file.is_file() and contents.is_packed_dependency_file(name):
            entries[str(name)] = file
    distributions[_OWN_NAME] = _empty_report(checkout().version)
    own = path.with_name("own")
    for name_in_zip, file in _own_files(own, target).items():
        entries[name_in_zip] = file
        owners[name_in_zip] = _OWN_NAME

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry_name in sorted(entries):
            entry = zipfile.ZipInfo(entry_name, EARLIEST_TIME)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            content = service_data.packed(PurePosixPath(entry_name), entries[entry_name].read_bytes(), endpoints)
            archive.writestr(entry, content, compresslevel=9)
        for entry in archive.infolist():
            part = distributions[_owner(owners, entry.filename)]
            part["files"] = int(part["files"]) + 1
            part["bytes"] = int(part["bytes"]) + entry.file_size
            part["compressed_bytes"] = int(part["compressed_bytes"]) + entry.compress_size
    return distributions


def _own_files(folder: Path, target: Target) -> dict[str, Path]:
    """Copy ir-router's files to the new `folder`, compile them, and return all files by their names in the zip."""
    sources = checkout().sources
    for file in contents.source_files(sources):
        copy = folder / file.relative_to(sources.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    if compiler := target.compiler():
        bytecode.compile_modules(folder, compiler)
    return {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}


def _owner(owners: dict[str, str], name: str) -> str:
    path = PurePosixPath(name)
    return owners[str(bytecode.source_of(path)) if path.suffix == ".pyc" else name]


def _distributions(site: Path) -> tuple[dict[str, str], dict[str, dict[str, int | str]]]:
    """Return the distribution of each installed file (from the RECORDs), and an empty report for each distribution."""
    owners: dict[str, str] = {}
    distributions: dict[str, dict[str, int | str]] = {}
    for record in sorted(site.glob("*.dist-info/RECORD")):
        name, version = record.parent.name.removesuffix(".dist-info").rsplit("-", 1)
        name = normalised_name(name)
        distributions[name] = _empty_report(version)
        owners.update(dict.fromkeys(recorded_files(record), name))
    return owners, distributions


def normalised_name(distribution: str) -> str:
    """Return the name of a distribution as the lock spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def recorded_files(record: Path) -> Iterator[str]:
    """Yield the files that a RECORD lists, as paths below the installation folder."""
    with record.open(newline="", encoding="utf-8") as lines:
        for path, _hash, _size in csv.reader(lines):
            yield path


def _empty_report(version: str) -> dict[str, int | str]:
    return {"version": version, "files": 0, "bytes": 0, "compressed_bytes": 0}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
