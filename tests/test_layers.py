"""The order of the layers, from their imports."""

from __future__ import annotations

import ast
from pathlib import Path

import freehold

PACKAGE = Path(freehold.__file__).parent
VOCABULARY = {"errors", "arn", "clock", "message"}
"""What every layer may import."""
DATA = {"authorization.permission", "authorization.principal", "storage.records", "storage.blobs", "storage.cache"}
"""Data types and interfaces that any layer may import."""

MAY_IMPORT = {
    # layer: the layers that lie to its right, or under it
    "crypto": set(),
    "storage": {"crypto"},
    "custody": {"authentication", "crypto"},
    "authorization": {"services"},
    "federation": {"crypto"},
    "authentication": {"authorization", "crypto"},
    "protocol": {"services"},
    "transport": {"authentication"},
    "audit": {"authentication", "authorization", "crypto", "protocol", "services", "storage"},
    "services": {"audit", "authentication", "authorization", "crypto", "custody", "federation", "protocol", "storage"},
    "verification": {"audit", "crypto", "custody", "services", "storage"},
    "instance_metadata": set(),
    "testing": {"cli", "services"},
}
"""`protocol` and `authorization` may look at `services.operation` and `services.call`: what an operation is."""


def _imports(path: Path) -> set[str]:
    """The modules of this package that a file imports at run time (not only for its types)."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "freehold":
            module = node.module.removeprefix("freehold").lstrip(".")
            names = [alias.name for alias in node.names]
            found.update(f"{module}.{name}".lstrip(".") for name in names)
        elif isinstance(node, ast.Import):
            found.update(
                alias.name.removeprefix("freehold.") for alias in node.names if alias.name.startswith("freehold.")
            )
    return found


def test_a_layer_imports_nothing_of_a_layer_before_it() -> None:
    wrong = []
    for layer, allowed in MAY_IMPORT.items():
        for path in (PACKAGE / layer).rglob("*.py"):
            for module in _imports(path):
                top = module.partition(".")[0]
                if top == layer or top in VOCABULARY | allowed | {"__version__", "config"}:
                    continue
                if any(module.startswith(name) for name in DATA):
                    continue
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not wrong, "\n".join(sorted(wrong))


def test_what_the_decision_looks_at_of_services_is_only_what_a_call_is() -> None:
    for layer in ("authorization", "protocol"):
        for path in (PACKAGE / layer).rglob("*.py"):
            for module in _imports(path):
                if module.startswith("services."):
                    assert module.startswith(("services.operation", "services.call")), f"{path.name}: {module}"


def test_the_server_does_not_import_boto3_or_botocore() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in ("cli", "testing"):
            continue
        assert not [line for line in path.read_text().splitlines() if line.startswith(("import boto", "from boto"))]
