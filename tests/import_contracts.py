"""A kind of import contract for import-linter: a folder of siblings, so that a new twin or strategy needs no word in `pyproject.toml`."""

from typing import Any

from grimp import ImportGraph, Layer
from importlinter.application import output
from importlinter.domain import fields
from importlinter.domain.contract import Contract, ContractCheck


class SiblingsContract(Contract):
    """The files of a package know nothing of each other; they stand on its folders, which stand on each other in the order given.

    A folder that is not named breaks the contract, so every part of the package has its place.
    """

    type_name = "siblings"

    package = fields.StringField()
    folders = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Whether every import keeps to that order."""
        package, folders = str(self.package), [f"{self.package}.{name}" for name in self.folders]  # type: ignore[attr-defined]
        children = graph.find_children(package)
        odd = {child for child in children if graph.find_children(child)} ^ set(folders)
        files = children - odd - set(folders)
        layers = [Layer(*sorted(files), independent=True), *(Layer(folder) for folder in folders if folder in children)]
        broken = [route for found in graph.find_illegal_dependencies_for_layers(layers) for route in found.routes]
        lines = [
            f"{package}: the folder {folder.removeprefix(package + '.')} is not both there and in the contract" for folder in sorted(odd)
        ]
        for route in broken:
            lines += [f"{' or '.join(sorted(route.heads))} may not import {' or '.join(sorted(route.tails))}"]
        return ContractCheck(kept=not lines, metadata={"lines": lines})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print what breaks it."""
        lines: Any = check.metadata["lines"]
        for line in lines:
            output.print(line)
