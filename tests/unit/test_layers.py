"""The direction of dependencies: handler -> router -> routes -> cases and gateways; never back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ir_router

ROOT = Path(ir_router.__file__).parent
GATEWAYS = ("security_ir", "slack", "ledger")
ROUTES = ("sync", "commands", "workflow", "ops", "webhook", "handler", "router")


def imports(area: str) -> Iterator[tuple[str, str]]:
    """Each module below `area` and what of ours it imports, without the package's name."""
    path = ROOT / area
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name.startswith("ir_router."):
                    yield str(file.relative_to(ROOT)), name.removeprefix("ir_router.")


def offences(area: str, forbidden: tuple[str, ...]) -> list[str]:
    return [f"{file} imports {name}" for file, name in imports(area) if name.split(".")[0] in forbidden]


def test_given_the_domain_when_its_imports_are_read_then_there_are_none_of_ours() -> None:
    assert [f"{file} imports {name}" for file, name in imports("cases") if not name.startswith("cases")] == []


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_given_a_gateway_when_its_imports_are_read_then_it_knows_no_route_and_no_other_gateway(gateway: str) -> None:
    others = tuple(other for other in GATEWAYS if other != gateway)
    assert offences(gateway, ROUTES + others) == []


@pytest.mark.parametrize("route", ["sync", "commands", "workflow", "ops", "webhook"])
def test_given_a_route_when_its_imports_are_read_then_it_does_not_know_the_router(route: str) -> None:
    assert offences(route, ("handler", "router")) == []


@pytest.mark.parametrize(
    ("route", "others"), [("sync", ("commands", "workflow", "ops")), ("workflow", ("commands", "sync", "ops"))]
)
def test_given_what_other_routes_build_on_when_its_imports_are_read_then_it_does_not_know_them(
    route: str, others: tuple[str, ...]
) -> None:
    assert offences(route, others) == []


def test_given_the_deployed_package_when_its_imports_are_read_then_nothing_local_is_in_it() -> None:
    for file in sorted(ROOT.rglob("*.py")):
        assert "ir_local" not in file.read_text("utf-8"), file
