"""The direction of dependencies between packages and modules.

Inside `ir_router`: handler -> router -> routes -> cases and gateways. Between packages: tests -> ir_sandbox ->
ir_operator -> ir_router. An import inside a function or below `TYPE_CHECKING` counts like any other import.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ir_router

ROOT = Path(ir_router.__file__).parent
PROJECT = ROOT.parents[1]
OWN_PACKAGES = ("ir_router", "ir_operator", "ir_sandbox", "tests")
# The own packages that each package may import.
ALLOWED_PACKAGES = {
    "ir_router": {"ir_router"},
    "ir_operator": {"ir_operator", "ir_router"},
    "ir_sandbox": {"ir_sandbox", "ir_operator", "ir_router"},
}
GATEWAYS = ("security_ir", "slack", "ledger", "cloudtrail")
ROUTES = ("sync", "commands", "workflow", "ops", "webhook", "handler", "router")


@functools.cache
def import_statements(source: str) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Return the imports anywhere in a module."""
    return tuple(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom))


def imports(area: str) -> Iterator[tuple[str, str]]:
    """Return each module below `area` with its imports of this package, without the package's name."""
    path = ROOT / area
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
        for node in import_statements(file.read_text("utf-8")):
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


def test_given_the_report_when_its_imports_are_read_then_it_knows_only_the_domain_and_links() -> None:
    allowed = ("report", "cases", "links")
    assert [f"{file} imports {name}" for file, name in imports("report") if name.split(".")[0] not in allowed] == []


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
        assert "ir_sandbox" not in file.read_text("utf-8"), file


@functools.cache
def module_files() -> Mapping[str, Path]:
    """Return each module below `src/` and `tests/trials/` by its dotted name."""
    files = [(file, PROJECT / "src") for file in sorted((PROJECT / "src").rglob("*.py"))]
    files += [(file, PROJECT) for file in sorted((PROJECT / "tests" / "trials").rglob("*.py"))]
    return {
        ".".join(file.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): file for file, base in files
    }


def imported_names(source: str, module: str = "", *, is_package: bool = False) -> set[str]:
    """Return the dotted names that `source` imports anywhere: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`.

    `module` and `is_package` resolve relative imports.
    """
    names: set[str] = set()
    for node in import_statements(source):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        else:
            parts = module.split(".") if is_package else module.split(".")[:-1]
            base = parts[: len(parts) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{start}.{alias.name}" for alias in node.names}
    return names


def import_graph(sources: Mapping[str, tuple[str, bool]]) -> dict[str, set[str]]:
    """Return which of the modules each module imports; `sources` holds a module's text and whether it is a package."""
    graph: dict[str, set[str]] = {}
    for module, (source, is_package) in sources.items():
        graph[module] = set()
        for name in imported_names(source, module, is_package=is_package):
            target = name if name in sources else name.rpartition(".")[0]
            if target in sources:
                graph[module].add(target)
    return graph


def circle(graph: Mapping[str, set[str]]) -> str:
    """Return the first import circle as `a -> b -> a`, or "" if there is none."""
    try:
        TopologicalSorter({module: graph[module] for module in sorted(graph)}).prepare()
    except CycleError as error:
        # The sorter lists the circle from the imported module to the importing one.
        return " -> ".join(reversed(error.args[1]))
    return ""


def own_imports(package: str) -> list[tuple[str, str]]:
    """Return each module of a package with the own packages that it imports."""
    return [
        (module, name.split(".")[0])
        for module, file in module_files().items()
        if module.split(".")[0] == package
        for name in imported_names(file.read_text("utf-8"), module, is_package=file.name == "__init__.py")
        if name.split(".")[0] in OWN_PACKAGES
    ]


def test_given_all_modules_when_their_imports_are_read_then_no_modules_import_each_other_in_a_circle() -> None:
    sources = {module: (file.read_text("utf-8"), file.name == "__init__.py") for module, file in module_files().items()}
    graph = import_graph(sources)
    assert {"ir_router.handler", "ir_sandbox.slack.workspace", "tests.trials.world.world"} <= graph.keys()
    assert circle(graph) == ""


@pytest.mark.parametrize(
    "back",
    [
        "import a.one",
        "from a import one",
        "from a.one import name",
        "from . import one",
        "from .one import name",
        "def later():\n    from a.one import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a.one import Name",
    ],
)
def test_given_an_import_back_in_any_form_when_a_circle_is_searched_then_it_is_named(back: str) -> None:
    sources = {"a": ("", True), "a.one": ("from a.two import name", False), "a.two": (back, False)}
    assert circle(import_graph(sources)) in ("a.one -> a.two -> a.one", "a.two -> a.one -> a.two")


def test_given_imports_in_one_direction_when_a_circle_is_searched_then_there_is_none() -> None:
    sources = {"a": ("from a import one", True), "a.one": ("from .two import name", False), "a.two": ("", False)}
    graph = import_graph(sources)
    assert graph == {"a": {"a.one"}, "a.one": {"a.two"}, "a.two": set()}
    assert circle(graph) == ""


@pytest.mark.parametrize("package", ALLOWED_PACKAGES)
def test_given_a_package_when_its_imports_are_read_then_it_imports_only_the_packages_below_it(package: str) -> None:
    found = own_imports(package)
    assert found
    forbidden = [f"{module} imports {own}" for module, own in found if own not in ALLOWED_PACKAGES[package]]
    assert forbidden == []
