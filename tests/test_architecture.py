"""The rooms of the code, and which way the arrows point between them; read from the source."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import leukctl

ROOT = Path(leukctl.__file__).parent
TORCH = {"torch", "torchvision", "timm", "pytorch_grad_cam"}
HEAVY = {*TORCH, "numpy", "cv2", "sklearn", "matplotlib", "rich"}
WITH_TORCH = (
    *("tensors", "backbones", "training", "inference", "fusion", "explaining", "comparing"),
    "distributed",
    "lanes",
)
GROUND = {
    *("errors", "files", "catalog", "wording", "rows", "columns", "tables", "manifest"),
    *("predictions", "runs"),
}


class Import(NamedTuple):
    """One imported module, ``late`` when it stands inside a function."""

    name: str
    late: bool
    line: int


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module, by its dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["leukctl", *path.relative_to(ROOT).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text("utf-8"))
    return found


@cache
def imports(module: str) -> tuple[Import, ...]:
    """Return what ``module`` imports when it runs; imports for type checkers alone are left out."""
    return tuple(_imports(modules()[module], late=False))


def _imports(node: ast.AST, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, late, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"a relative import on line {child.lineno}"
            package = str(child.module)
            for alias in child.names:
                whole = f"{package}.{alias.name}"
                name = whole if whole in modules() else package
                yield Import(name, late, child.lineno)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield from _imports(other, late)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, late or inside)


def room(module: str) -> str:
    """Return the first part of a module's name below leukctl."""
    return [*module.split("."), ""][1]


def domain() -> list[str]:
    return [name for name in modules() if room(name) not in ("cli", "__main__")]


def test_there_is_something_to_look_at() -> None:
    assert {"leukctl", "leukctl.cli", "leukctl.files", "leukctl.runtime"} <= set(modules())
    assert Import("torch", False, 0).name in {found.name for found in imports("leukctl.runtime")}


def test_runtime_is_the_one_door_to_torch() -> None:
    assert [
        (name, found.name, found.line)
        for name in modules()
        if name != "leukctl.runtime"
        for found in imports(name)
        if found.name.split(".")[0] in TORCH
    ] == []


def test_only_the_rooms_that_compute_with_torch_go_through_the_door() -> None:
    assert [
        (name, found.line)
        for name in modules()
        if room(name) not in ("cli", *WITH_TORCH)
        for found in imports(name)
        if found.name == "leukctl.runtime"
    ] == []


def test_the_domain_knows_nothing_of_the_command_line() -> None:
    assert [
        (name, found.name, found.line)
        for name in domain()
        for found in imports(name)
        if found.name.split(".")[0] in ("typer", "rich") or found.name.startswith("leukctl.cli")
    ] == []


def test_the_domain_never_prints_nor_ends_the_process() -> None:
    assert [
        (name, node.lineno)
        for name in domain()
        for node in ast.walk(modules()[name])
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "sys.exit", "exit", "input", "sys.stdout.write")
    ] == []


def test_files_stand_on_the_ground() -> None:
    assert [
        (name, found.name)
        for name in modules()
        if room(name) in GROUND
        for found in imports(name)
        if found.name.startswith("leukctl.") and room(found.name) not in GROUND
    ] == []


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {
        name: {found.name for found in imports(name) if not found.late and found.name in modules()}
        for name in modules()
    }
    assert circle(graph) == []


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return modules of which each imports the one before, round to the first; none where none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_noticed() -> None:
    assert sorted({*circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})}) == ["a", "b", "c"]


def test_commands_begin_with_nothing_heavy() -> None:
    allowed = {*sys.stdlib_module_names, "typer"}
    light: set[str] = set()
    for name in modules():
        if room(name) != "cli":
            continue
        for found in imports(name):
            if found.late:
                continue
            if found.name in modules():
                light.add(found.name)
            else:
                assert found.name.split(".")[0] in allowed, f"{name}, line {found.line}"
    assert loaded_by(light) == set()


def loaded_by(names: set[str]) -> set[str]:
    """Return which heavy packages are loaded when ``names`` are imported in a fresh process."""
    code = f"import sys, {', '.join(sorted(names))}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


def test_what_is_heavy_is_noticed() -> None:
    assert loaded_by({"leukctl.predictions"}) == {"numpy"}


def test_click_is_never_imported() -> None:
    assert [
        (name, found.line)
        for name in modules()
        for found in imports(name)
        if found.name.split(".")[0] == "click" or "_click" in found.name
    ] == []


def test_no_pickle_is_ever_loaded() -> None:
    pickles = {"pickle", "_pickle", "cPickle", "joblib", "dill", "cloudpickle", "marshal", "shelve"}
    assert [
        (name, found.name)
        for name in modules()
        for found in imports(name)
        if found.name.split(".")[0] in pickles
    ] == []
    assert [
        (name, node.lineno)
        for name in modules()
        for node in ast.walk(modules()[name])
        if isinstance(node, ast.Call) and _may_unpickle(node)
    ] == []


def _may_unpickle(call: ast.Call) -> bool:
    function = ast.unparse(call.func)
    if function in ("np.load", "numpy.load"):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        return given.get("allow_pickle") != "False"
    return function in ("torch.load", "pd.read_pickle") or function.endswith(
        ("load_state_dict_from_url", "hub.load")
    )
