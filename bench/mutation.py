"""Mutation testing of the decision: `nice -n 19 python -m bench.mutation [MODULE …] [--part 1/4] [--survivors FILE]`.

Each mutant is one small change of one module of `freehold/authorization/`: a comparison turned round, an operand left
out, a constant, a key or a returned value altered, a statement dropped. It runs in a process of its own, against

    1  the worked cases and random cases whose answers the naive evaluator gave (it doesn't import what is mutated)
    2  the tests in `TESTS`, then all, only where the first found nothing

A mutant that both let pass is printed: either a test is missing, or the change alters no decision. Annotations,
docstrings, messages and `repr` are left alone. What was found is in docs/testing.md.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = ROOT / "freehold" / "authorization"
MODULES: Final = (
    "decide",
    "match",
    "conditions",
    "principal_element",
    "policy_set",
    "statement",
    "document",
    "gather",
    "context_keys",
    "vpc_endpoint",
)
TESTS: Final = {
    "decide": ("decide",),
    "match": ("match", "bad_policies", "conditions"),
    "conditions": ("conditions", "bad_policies"),
    "principal_element": ("principal_element", "document"),
    "policy_set": ("policy_set", "gather"),
    "statement": ("document", "bad_policies", "match"),
    "document": ("document", "bad_policies"),
    "gather": ("gather",),
    "context_keys": ("context_keys", "gather"),
    "vpc_endpoint": ("vpc_endpoint",),
    "explain": ("explain", "messages", "policy_cases"),
    "remedy": ("remedy", "remedy_limits"),
}
"""The tests that are most likely to find a mutant of a module; the others follow where they don't."""
ALL_TESTS: Final = (
    *("worked_cases", "worked_examples", "decide", "principal_element", "conditions", "match", "document"),
    *("context_keys", "bad_policies", "policy_cases", "policy_set", "gather", "vpc_endpoint"),
)
"""Those of tests/authorization that need no server and no luck."""
NOT_REACHED_BY_CASES: Final = ("gather", "vpc_endpoint", "explain", "remedy")
"""The worked cases are put to the decision itself: only tests can find a mutant of these."""
RANDOM_CASES: Final = 3000
SECONDS: Final = 40
"""Of CPU, which a mutant may take; one that takes longer doesn't end, and counts as found."""

_COMPARISONS: Final[dict[type, tuple[type, ...]]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[dict[type, type]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_NAMES: Final = {"any": "all", "all": "any", "max": "min", "min": "max", "startswith": "endswith",
                 "endswith": "startswith", "partition": "rpartition", "rpartition": "partition"}  # fmt: skip


class _Sites(ast.NodeVisitor):
    """Every place of a module with the changes that are made there: (node, description, change)."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []
        self.changes: list[Any] = []
        self._node: ast.AST | None = None

    def _add(self, node: Any, what: str, change: Any) -> None:
        self.found.append((node.lineno, what))
        self.changes.append(change)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name == "__repr__" or any(
            isinstance(one, ast.Name) and one.id == "overload" for one in node.decorator_list
        ):
            return
        self._body(node.body)
        for default in (*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)):
            self.visit(default)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._body(node.body)

    def visit_Module(self, node: ast.Module) -> None:
        self._body(node.body)

    def _body(self, body: list[ast.stmt]) -> None:
        for index, one in enumerate(body):
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
                continue  # a docstring
            if isinstance(one, ast.AnnAssign) and (
                one.value is None or (isinstance(one.annotation, ast.Name) and one.annotation.id == "TypeAlias")
            ):
                continue
            if isinstance(one, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id in ("__slots__", "__all__") for target in one.targets
            ):
                continue
            if isinstance(one, ast.Import | ast.ImportFrom | ast.Raise):
                continue  # what a refusal says decides nothing
            if isinstance(one, ast.Expr | ast.AugAssign) or (
                isinstance(one, ast.Assign) and not all(isinstance(target, ast.Name) for target in one.targets)
            ):
                self._add(one, f"drop `{ast.unparse(one)[:70]}`", (body, index, ast.copy_location(ast.Pass(), one)))
            self.visit(one)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        for value in (True, False):
            self._swap(node, "test", ast.Constant(value), f"if {value}: instead of `{ast.unparse(node.test)[:60]}`")
        self.visit(node.test)
        self._body(node.body)
        self._body(node.orelse)

    def visit_For(self, node: ast.For) -> None:
        self._swap(node, "iter", ast.Tuple([], ast.Load()), f"no turn of `for … in {ast.unparse(node.iter)[:50]}`")
        self.visit(node.iter)
        self._body(node.body)
        self._body(node.orelse)

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._body(node.body)

    def visit_Try(self, node: ast.Try) -> None:
        self._body(node.body)
        for handler in node.handlers:
            self._body(handler.body)

    def visit_With(self, node: ast.With) -> None:
        self._body(node.body)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
            return
        self._swap(node, "value", ast.Constant(None), f"return None instead of `{ast.unparse(node.value)[:60]}`")
        self.visit(node.value)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._retype(node, ast.Break)

    def visit_Break(self, node: ast.Break) -> None:
        self._retype(node, ast.Continue)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        for value in (True, False):
            self._swap(node, "test", ast.Constant(value), f"… if {value} instead of `{ast.unparse(node.test)[:60]}`")
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for index, test in enumerate(node.ifs):
            self._add(test, f"… for … if True instead of `{ast.unparse(test)[:60]}`",
                      (node.ifs, index, ast.copy_location(ast.Constant(True), test)))  # fmt: skip
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._swap(
            node, "op", other, f"{'or' if isinstance(node.op, ast.And) else 'and'} in `{ast.unparse(node)[:70]}`"
        )
        for index, value in enumerate(node.values):
            rest = [*node.values[:index], *node.values[index + 1 :]]
            self._swap(node, "values", rest, f"without `{ast.unparse(value)[:60]}`")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            double = ast.copy_location(ast.UnaryOp(ast.Not(), node.operand), node)
            self._swap(node, "operand", double, f"not not `{ast.unparse(node.operand)[:60]}`")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for index, op in enumerate(node.ops):
            for other in _COMPARISONS[type(op)]:
                self._add(node, f"{other.__name__} in `{ast.unparse(node)[:70]}`", (node.ops, index, other()))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        other = _ARITHMETIC.get(type(node.op))
        if other is not None:
            self._swap(node, "op", other(), f"{other.__name__} in `{ast.unparse(node)[:70]}`")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        other = _ARITHMETIC.get(type(node.op))
        if other is not None:
            self._swap(node, "op", other(), f"{other.__name__} in `{ast.unparse(node)[:70]}`")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in _NAMES:
            self._swap(node, "id", _NAMES[node.id], f"{_NAMES[node.id]}() instead of {node.id}()")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _NAMES:
            self._swap(node, "attr", _NAMES[node.attr], f"{_NAMES[node.attr]} in `{ast.unparse(node)[:70]}`")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._swap(node, "value", not value, f"{not value} instead of {value}")
        elif isinstance(value, int):
            self._swap(node, "value", value + 1, f"{value + 1} instead of {value}")
        elif isinstance(value, str):
            self._swap(node, "value", "X" + value, f"{'X' + value!r} instead of {value!r}"[:90])

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """What a text is put together from is left alone, but for what is computed in it."""
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                self.visit(value.value)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and (
            node.func.id.startswith(("Malformed", "Bad")) or node.func.id == "TypeVar"
        ):
            return
        self.generic_visit(node)

    def _swap(self, node: Any, field: str, value: Any, what: str) -> None:
        if isinstance(value, ast.AST) and not isinstance(value, ast.boolop | ast.operator | ast.cmpop):
            value = ast.fix_missing_locations(ast.copy_location(value, node))
        self._add(node, what, (node, field, value))

    def _retype(self, node: Any, kind: type) -> None:
        self._add(node, f"{kind.__name__.lower()} instead of {type(node).__name__.lower()}", (node, "__class__", kind))


def mutants(module: str) -> list[tuple[int, str]]:
    """(line, description) of every mutant of a module, in order."""
    return _sites(_tree(module)).found


def mutated(module: str, number: int) -> ast.Module:
    """The module's syntax with one change."""
    tree = copy.deepcopy(_tree(module))
    place, field, value = _sites(tree).changes[number]
    if isinstance(place, list):
        place[field] = value
    else:
        setattr(place, field, value)
    return ast.fix_missing_locations(tree)


def _sites(tree: ast.Module) -> _Sites:
    sites = _Sites()
    sites.visit(tree)
    return sites


_trees: dict[str, ast.Module] = {}


def _tree(module: str) -> ast.Module:
    if module not in _trees:
        _trees[module] = ast.parse((PACKAGE / f"{module}.py").read_text())
    return _trees[module]


class _Mutant(importlib.abc.Loader, importlib.abc.MetaPathFinder):
    """Imports one module of the package from changed syntax."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self._name = name
        self._tree = tree

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(PACKAGE / f"{self._name.rpartition('.')[2]}.py")
        exec(compile(self._tree, module.__file__, "exec"), module.__dict__)


def known_answers() -> list[tuple[dict[str, Any], str]]:
    """Cases with their answers, from a process of its own, so that this one has not imported what is mutated."""
    code = (
        "import sys, pickle, random; sys.path[:0] = ['tests/authorization', 'tests/reference']\n"
        "import naive_evaluator, random_cases, test_worked_cases\n"
        f"rng = random.Random(1); made = [random_cases.case(rng) for _ in range({RANDOM_CASES})]\n"
        "import test_worked_examples, test_worked_iam_pages, test_worked_kms_pages, test_worked_s3_pages\n"
        "import test_worked_bucket_pages, test_worked_key_pages, test_worked_scp_pages\n"
        "tables = (test_worked_cases, test_worked_examples, test_worked_iam_pages, test_worked_kms_pages)\n"
        "tables += (test_worked_bucket_pages, test_worked_key_pages, test_worked_s3_pages, test_worked_scp_pages)\n"
        "rows = [row for one in tables for row in one.TABLE]\n"
        "found = [(row.values[0], row.values[0]['expect']) for row in rows]\n"
        "found += [(one, naive_evaluator.evaluate(one)) for one in made]\n"
        "pickle.dump(found, sys.stdout.buffer)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout
    found: list[tuple[dict[str, Any], str]] = pickle.loads(shown)
    return found


def outcome(module: str, number: int, answers: list[tuple[dict[str, Any], str]], *, quick: bool = False) -> str:
    """`cases`, `tests`, `import` or `time`: what found the mutant; `survived` when nothing did."""
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return {0: "survived", 1: "cases", 3: "import", -signal.SIGXCPU: "time"}.get(code, "tests")
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    code = 2
    try:
        code = _try(module, number, answers, quick)
    except BaseException:
        code = 2
    finally:
        os._exit(code)


def _try(module: str, number: int, answers: list[tuple[dict[str, Any], str]], quick: bool) -> int:
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    if number >= 0:
        sys.meta_path.insert(0, _Mutant(f"freehold.authorization.{module}", mutated(module, number)))
    try:
        from freehold.authorization import run_cases

        run_cases([])
    except BaseException:
        return 3
    for case, expected in answers if module not in NOT_REACHED_BY_CASES else ():
        try:
            if run_cases([case])[0].got != expected:
                return 1
        except Exception:
            return 1
    import hypothesis
    import pytest

    # That an example exists is enough, it need not be a small one.
    found = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutants", phases=found)
    hypothesis.settings.load_profile("mutants")
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", f"--basetemp={tempfile.gettempdir()}/t"]
    first = TESTS[module]
    rest = () if quick else tuple(name for name in ALL_TESTS if name not in first)
    for names in filter(None, (first, rest)):
        if pytest.main([*arguments, *(f"tests/authorization/test_{name}.py" for name in names)]) != 0:
            return 2
    return 0


def _chosen(arguments: argparse.Namespace) -> Iterator[tuple[str, int, int, str]]:
    part, parts = map(int, arguments.part.split("/"))
    again = None
    if arguments.again:
        again = {tuple(row) for row in json.loads(Path(arguments.again).read_text())}
    place = 0
    for module in arguments.modules or MODULES:
        for number, (line, what) in enumerate(mutants(module)):
            place += 1
            if (
                place % parts == part % parts
                and line > arguments.after
                and (again is None or any(row[0] == module and row[2] == what for row in again))
            ):
                yield module, number, line, what


def _sample(chosen: list[tuple[str, int, int, str]], size: int) -> list[tuple[str, int, int, str]]:
    """As many of each module as `size` says, the same at each run."""
    found = []
    for module in dict.fromkeys(module for module, *_ in chosen):
        of_module = [one for one in chosen if one[0] == module]
        found += sorted(random.Random(1).sample(of_module, min(size, len(of_module))))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--part", default="1/1", help="2/4: every fourth mutant, from the second")
    parser.add_argument("--after", type=int, default=0, help="only the mutants after this line of a module")
    parser.add_argument("--sample", type=int, help="only so many of each module, chosen at random, always the same")
    parser.add_argument("--quick", action="store_true", help="the module's own tests alone, of `TESTS`")
    parser.add_argument("--survivors", help="write the survivors here, as JSON")
    parser.add_argument("--again", help="only the mutants that an earlier run wrote")
    parser.add_argument("--count", action="store_true", help="only count the mutants")
    arguments = parser.parse_args()
    chosen = list(_chosen(arguments))
    if arguments.sample is not None:
        chosen = _sample(chosen, arguments.sample)
    if arguments.count:
        print(Counter(module for module, *_ in chosen), len(chosen))
        return
    import hypothesis  # noqa: F401 - imported once, not in every child
    import pytest  # noqa: F401

    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="mutants") as made:
        tempfile.tempdir = made  # every child's
        _run(chosen, arguments)


def _run(chosen: list[tuple[str, int, int, str]], arguments: argparse.Namespace) -> None:
    answers = known_answers()
    random.seed(0)
    if outcome("decide", -1, answers) != "survived":
        raise SystemExit("The tests fail without any mutant.")
    found: Counter[str] = Counter()
    survivors: list[tuple[str, int, str]] = []
    for module, number, line, what in chosen:
        result = outcome(module, number, answers, quick=arguments.quick)
        found[result] += 1
        if result == "survived":
            survivors.append((module, line, what))
            print(f"{module}.py:{line}: {what}", flush=True)
            if arguments.survivors:
                Path(arguments.survivors).write_text(json.dumps(survivors, indent=1))
    print(f"{sum(found.values())} mutants: {dict(found)}")


if __name__ == "__main__":
    main()
