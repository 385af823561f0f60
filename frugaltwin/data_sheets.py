"""Data sheets of plug-ins, read from their source code: nothing is imported where the source says enough."""

import ast
import importlib.util
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder


def written(target: str) -> str | None:
    """The docstring of ``module:callable`` as its source code has it; None where the source does not show it.

    No line of the module or of its packages is executed. A name that a module takes over from another one, a compiled module and a
    module that cannot be parsed show nothing.
    """
    module, _, attribute = target.partition(":")
    tree = _parsed(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return ast.get_docstring(node)
    return None


@cache
def _parsed(module: str) -> ast.Module | None:
    spec = _spec(module)
    source = getattr(spec.loader, "get_source", None) if spec else None
    try:
        text = source(module) if source else None
        return ast.parse(text) if text is not None else None
    except (ImportError, SyntaxError, ValueError):  # importing it says what is wrong
        return None


def _spec(module: str) -> ModuleSpec | None:
    """The file of a module. `importlib.util.find_spec` alone would import the packages around it."""
    package, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # __main__ has none
        return None
    for word in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        package = f"{package}.{word}"
        spec = PathFinder.find_spec(package, spec.submodule_search_locations)
    return spec
