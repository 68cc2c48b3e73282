"""The zip is complete, contains nothing else, and is reproducible."""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import json
import os
import re
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from ir_operator.__main__ import main
from ir_operator.build import contents, package, service_data
from ir_operator.build.bytecode import compile_modules
from ir_operator.build.dependencies import Target, installed
from ir_operator.build.errors import BytecodeError, SourceError, UnpackedServiceError
from ir_operator.build.package import build_package
from ir_operator.project import PROJECT_ROOT, SOURCES, local_interpreter

ARM64 = Target("arm64")
LOCAL = Target(None)
ELF_MACHINE_AARCH64 = 183
"""EM_AARCH64 of the ELF specification."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_package(ARM64, tmp_path_factory.mktemp("release") / "ir_router.zip").path


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    with zipfile.ZipFile(build_package(LOCAL, folder / "ir_router-local.zip").path) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def run_clean(unpacked: Path, program: str) -> str:
    """Run a program that can import only the standard library and the unpacked zip."""
    answer = subprocess.run(
        [local_interpreter(), "-I", "-S", "-c", f"import sys; sys.path.append({str(unpacked)!r})\n{program}"],
        env={"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def imports_of(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Yield every import in a module, including imports in functions, without those for type checkers only."""
    if isinstance(node, ast.Import):
        yield from ((name.name, None) for name in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((node.module, name.name) for name in node.names)
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield from imports_of(child)


def test_given_a_clean_interpreter_when_every_module_is_imported_then_no_dependency_is_missing(unpacked: Path) -> None:
    modules = [
        ".".join(path.relative_to(unpacked).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((unpacked / "ir_router").rglob("*.py"))
    ]
    assert "ir_router" in modules

    imported = run_clean(
        unpacked,
        f"import importlib, json\nfor name in {modules!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted(name for name in sys.modules if name.startswith('ir_router'))))",
    )

    assert set(modules) <= set(json.loads(imported))


def test_given_a_clean_interpreter_when_lazy_imports_are_made_too_then_no_dependency_is_missing(unpacked: Path) -> None:
    imports = {
        found
        for path in (unpacked / "ir_router").rglob("*.py")
        for found in imports_of(ast.parse(path.read_text("utf-8")))
    }

    run_clean(
        unpacked,
        f"""
import importlib
for module, name in {sorted(imports, key=str)!r}:
    found = importlib.import_module(module)
    if name not in (None, "*") and not hasattr(found, name):
        importlib.import_module(f"{{module}}.{{name}}")
""",
    )


def test_given_a_clean_interpreter_when_a_client_of_each_packed_service_is_made_then_its_data_is_there(
    unpacked: Path,
) -> None:
    made = run_clean(
        unpacked,
        f"""
import boto3
for service in {sorted(contents.AWS_SERVICES)!r}:
    client = boto3.client(service, aws_access_key_id="none", aws_secret_access_key="none")
    assert client.meta.service_model.operation_names
    client.waiter_names
    print(service)
""",
    )

    assert made.split() == sorted(contents.AWS_SERVICES)


def locked_packages() -> dict[str, dict[str, Any]]:
    """Return the packages that the lock file requires at run time on Lambda, by name, without the help of uv."""
    lock = {entry["name"]: entry for entry in tomllib.loads((PROJECT_ROOT / "uv.lock").read_text("utf-8"))["package"]}
    found: dict[str, dict[str, Any]] = {}
    waiting = [dependency["name"] for dependency in lock["ir-router"]["dependencies"]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = lock[name]
            waiting += [dependency["name"] for dependency in lock[name].get("dependencies", [])]
    return found


def test_given_the_release_zip_when_compared_with_the_lock_then_it_holds_the_locked_wheels_for_lambda_alone() -> None:
    site = installed(ARM64)
    locked = locked_packages()

    found = {}
    for wheel in site.glob("*.dist-info/WHEEL"):
        name, version = wheel.parent.name.removesuffix(".dist-info").rsplit("-", 1)
        found[package.normalised_name(name)] = version
        tags = set(re.findall(r"^Tag: (\S+)$", wheel.read_text("utf-8"), re.MULTILINE))
        runs_on_lambda = {
            tag
            for tag in tags
            if re.fullmatch(r"(py2\.py3|py3|cp313)-(none|abi3|cp313)-(any|manylinux\w+_aarch64)", tag)
        }
        assert runs_on_lambda, f"{name} is tagged {tags}"
        file_names = [entry["url"].rsplit("/", 1)[1] for entry in locked[package.normalised_name(name)]["wheels"]]
        assert any(
            {
                f"{python}-{abi}-{platform}"
                for python in p.split(".")
                for abi in a.split(".")
                for platform in m.split(".")
            }
            & tags
            for p, a, m in (file_name.removesuffix(".whl").rsplit("-", 3)[1:] for file_name in file_names)
        ), f"the lock has no wheel of {name} tagged {tags}"

    assert found == {name: entry["version"] for name, entry in locked.items()}


def test_given_the_release_zip_when_compared_file_by_file_then_every_recorded_file_is_there_or_listed_as_left_out(
    release: Path,
) -> None:
    recorded: dict[str, tuple[str, str]] = {}
    for record in installed(ARM64).glob("*.dist-info/RECORD"):
        with record.open(newline="") as lines:
            recorded.update({path: (digest, size) for path, digest, size in csv.reader(lines)})
    left_out = {path for path in recorded if not contents.is_packed_dependency_file(PurePosixPath(path))}
    ours = {path.relative_to(SOURCES.parent).as_posix(): path for path in contents.source_files(SOURCES)}
    endpoints = service_data.endpoint_prefixes(installed(ARM64), contents.AWS_SERVICES)

    with zipfile.ZipFile(release) as archive:
        assert len(archive.namelist()) == len(set(archive.namelist()))
        names = {name for name in archive.namelist() if not name.endswith(".pyc")}
        assert names == (set(recorded) - left_out) | set(ours)
        for name in names:
            data = archive.read(name)
            if name in ours:
                assert data == ours[name].read_bytes()
            else:
                original = (installed(ARM64) / name).read_bytes()
                if (expected := service_data.packed(PurePosixPath(name), original, endpoints)) != original:
                    assert data == expected, name  # tests/packaging/test_service_data.py
                    data = original
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
                assert (f"sha256={digest}", str(len(data))) == recorded[name], name


def test_given_what_is_left_out_when_listed_then_it_is_unused_data_examples_scripts_and_metadata_only() -> None:
    kinds = {
        "unused service data": r"botocore/data/(?P<service>[^/]+)/.*",
        "examples of used services": r"botocore/data/[^/]+/[^/]+/examples-1\.json",
        "boto3.resource and examples": r"boto3/(data|examples)/.*",
        "scripts": r"(\.\./)*bin/.*",
        "metadata": r"[^/]+\.dist-info/(?!METADATA$).*",
    }
    for record in installed(ARM64).glob("*.dist-info/RECORD"):
        for path in package.recorded_files(record):
            if contents.is_packed_dependency_file(PurePosixPath(path)):
                continue
            matches = [kind for kind, pattern in kinds.items() if re.fullmatch(pattern, path)]
            assert matches, path
            if matches == ["unused service data"]:
                assert path.split("/")[2] not in contents.AWS_SERVICES


def test_given_the_release_zip_when_its_native_code_is_read_then_it_is_for_arm64_and_python_3_13(release: Path) -> None:
    with zipfile.ZipFile(release) as archive:
        native = [name for name in archive.namelist() if ".so" in PurePosixPath(name).suffixes]
        assert native
        for name in native:
            assert "cpython-313-aarch64-linux-gnu" in name
            header = archive.read(name)[:20]
            assert header[:4] == b"\x7fELF"
            assert int.from_bytes(header[18:20], "little") == ELF_MACHINE_AARCH64


def test_given_the_release_zip_when_listed_then_neither_local_cloud_nor_tests_nor_records_are_in_it(
    release: Path,
) -> None:
    with zipfile.ZipFile(release) as archive:
        for entry in archive.infolist():
            assert not entry.filename.startswith(("ir_operator", "ir_sandbox", "tests/", "bin/"))
            assert not entry.filename.endswith(("RECORD", "direct_url.json"))
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr >> 16 == 0o100644
        assert archive.namelist() == sorted(archive.namelist())


def test_given_the_local_zip_when_its_compiled_modules_are_read_then_each_module_has_its_own(unpacked: Path) -> None:
    run_clean(
        unpacked,
        f"""
import importlib.util
from pathlib import Path
folder = Path({str(unpacked)!r})
modules = {{Path(importlib.util.cache_from_source(path)): path for path in folder.rglob("*.py")}}
assert set(modules) == set(folder.rglob("*.pyc"))
for compiled, module in modules.items():
    # PEP 552: magic number, flags (1: by hash, not checked), the source's hash.
    flags = (1).to_bytes(4, "little")
    header = importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(module.read_bytes())
    assert compiled.read_bytes()[:16] == header, compiled
""",
    )


def test_given_a_zip_with_compiled_modules_when_the_entry_point_is_imported_then_nothing_is_compiled(
    unpacked: Path,
) -> None:
    run_clean(
        unpacked,
        """
import importlib.machinery, os
def refuse(loader, data, path, **_):
    raise AssertionError(f"{path} is compiled")
importlib.machinery.SourceFileLoader.source_to_code = refuse
os.environ["IR_ROUTES"] = "webhook,poll,slack_event,workflow,approval"
os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"  # nobody listens
import ir_router.handler
""",
    )


def test_given_a_module_that_does_not_compile_when_compiled_then_its_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("def use(:\n")

    with pytest.raises(BytecodeError, match=r"module\.py"):
        compile_modules(tmp_path, local_interpreter())


def test_given_no_interpreter_of_lambdas_python_when_built_then_the_zip_has_no_compiled_modules_and_that_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Target, "compiler", lambda _: None)

    assert main(["build", "--output", str(tmp_path / "ir_router.zip")]) == 0

    assert "python3.13 does not start here, so the zip has no compiled modules" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "ir_router.zip") as archive:
        assert not [name for name in archive.namelist() if name.endswith(".pyc")]


def test_given_the_same_inputs_when_built_twice_then_the_zips_are_identical(release: Path, tmp_path: Path) -> None:
    again = build_package(ARM64, tmp_path / "ir_router.zip")

    assert again.built
    assert again.path.read_bytes() == release.read_bytes()


def test_given_nothing_changed_when_built_again_then_the_zip_is_kept(release: Path) -> None:
    assert not build_package(ARM64, release).built


def test_given_a_damaged_zip_when_built_again_then_it_is_made_again(tmp_path: Path) -> None:
    first = build_package(ARM64, tmp_path / "ir_router.zip")
    first.path.write_bytes(first.path.read_bytes()[:-1])

    second = build_package(ARM64, tmp_path / "ir_router.zip")

    assert second.built
    assert hashlib.sha256(second.path.read_bytes()).hexdigest() == first.sha256


def test_given_the_report_when_read_then_it_accounts_for_every_file_and_byte(release: Path) -> None:
    report = json.loads(release.with_name("package.json").read_text("utf-8"))["ir_router.zip"]

    with zipfile.ZipFile(release) as archive:
        entries = archive.infolist()
    parts = report["distributions"].values()
    assert sum(part["files"] for part in parts) == len(entries)
    assert sum(part["bytes"] for part in parts) == sum(entry.file_size for entry in entries)
    assert sum(part["compressed_bytes"] for part in parts) == sum(entry.compress_size for entry in entries)
    assert report["bytes"] == release.stat().st_size <= package.MAXIMUM_SIZE
    assert set(report["distributions"]) == {*locked_packages(), "ir-router"}


def test_given_the_package_when_its_clients_are_searched_then_their_services_and_no_others_are_packed() -> None:
    assert {service for _, _, service in contents.clients_made(SOURCES)} == contents.AWS_SERVICES


@pytest.mark.parametrize(
    "line",
    ['boto3.client("ec2")', 'session.client(service_name="ec2")', 'aws.make_client("ec2", region)', 'client("ec2")'],
)
def test_given_a_client_of_an_unpacked_service_when_checked_then_it_is_refused_and_the_fix_is_named(
    line: str, tmp_path: Path
) -> None:
    (tmp_path / "module.py").write_text(f"def use():\n    return {line}\n")

    with pytest.raises(UnpackedServiceError, match=r"module\.py:2 .*'ec2'.*AWS_SERVICES in contents\.py"):
        contents.check_services(tmp_path)


def test_given_a_module_that_is_not_python_when_checked_then_its_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("def use(:\n")

    with pytest.raises(SourceError, match=r"module\.py:1: "):
        contents.check_services(tmp_path)


def test_given_a_limit_below_its_size_when_built_then_it_fails_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(package, "MAXIMUM_SIZE", 1000)

    assert main(["build", "--output", str(tmp_path / "ir_router.zip")]) == 1

    assert "more than 1,000" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
