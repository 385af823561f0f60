"""Formulas of settings: numbers, parameters by name, + - * / **, and a few functions. Nothing else is evaluated, and nothing is called."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from frugaltwin.errors import InvalidInput
from frugaltwin.experiment import LARGEST

FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs, "min": min, "max": max, "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "log10": math.log10,
}  # fmt: skip
"""The functions that a formula may use; `log` is the natural logarithm."""
LONGEST, DEEPEST = 1000, 50
"""Characters of a formula, and levels of it."""

_TWO: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: math.pow,
}  # fmt: skip
_ONE: Mapping[type[ast.unaryop], Callable[[float], float]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


@dataclass(frozen=True)
class Formula:
    """A formula that was read, such as ``1800 + 60 * abs(temperature - 25)``."""

    text: str
    _tree: ast.expr

    @classmethod
    def read(cls, text: str | float, names: tuple[str, ...]) -> Formula:
        """The formula of a text; a number is one, too.

        Args:
            names: The parameters that it may use.

        Raises:
            InvalidInput: It is none, or it names something else; the sentence says which word.

        >>> Formula.read("2 * x ** 2", ("x",))({"x": 3.0})
        18.0
        """
        words = str(text)
        if len(words) > LONGEST:
            raise InvalidInput(f"the formula {words[:30]}… has more than {LONGEST} characters")
        try:
            tree = ast.parse(words.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise InvalidInput(f"{words!r} is no formula; write numbers, parameters, + - * / ** and brackets") from None
        _check(tree, words, names, DEEPEST)
        return cls(words, tree)

    def __call__(self, settings: Mapping[str, float | str]) -> float:
        """The number that it gives for settings.

        Raises:
            InvalidInput: It gives none there: a division by zero, a logarithm of nothing, a number without end.
        """
        try:
            value = _value(self._tree, settings)
        except (ArithmeticError, ValueError) as error:
            at = ", ".join(f"{name} {value}" for name, value in settings.items())
            raise InvalidInput(f"the formula {self.text} gives no number at {at}: {error}") from None
        if not math.isfinite(value):
            raise InvalidInput(f"the formula {self.text} gives {value}, which is no number to count with")
        return float(value)


def _check(node: ast.expr, text: str, names: tuple[str, ...], depth: int) -> None:
    """Refuse a part of a formula that is not one.

    Raises:
        InvalidInput: It is not.
    """
    if not depth:
        raise InvalidInput(f"the formula {text[:30]}… has too many brackets")
    for part in _parts(node, text, names):
        _check(part, text, names, depth - 1)


def _parts(node: ast.expr, text: str, names: tuple[str, ...]) -> list[ast.expr]:
    """The parts of a part, which itself is one that a formula may have."""
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            if abs(value) > LARGEST:  # also infinity
                raise InvalidInput(f"{text[:60]}: a number in it is too large")
            return []
        case ast.Name(id=name):
            if name not in names:
                raise InvalidInput(f"{text}: there is no parameter {name!r}{_hint(name, (*names, *FUNCTIONS))}")
            return []
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _TWO:
            return [left, right]
        case ast.UnaryOp(op=one, operand=operand) if type(one) in _ONE:
            return [operand]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            _check_call(name, arguments, text)
            return list(arguments)
        case _:
            part = ast.get_source_segment(text.strip(), node) or "it"
            known = ", ".join(FUNCTIONS)
            raise InvalidInput(f"{text}: {part} is no part of a formula; there are numbers, parameters, + - * / ** and {known}")


def _check_call(name: str, arguments: Sequence[ast.expr], text: str) -> None:
    if name not in FUNCTIONS:
        raise InvalidInput(f"{text}: there is no function {name!r}{_hint(name, tuple(FUNCTIONS))}")
    if name in ("min", "max") and len(arguments) < 2:
        raise InvalidInput(f"{text}: {name} takes two values or more")
    if name not in ("min", "max") and len(arguments) != 1:
        raise InvalidInput(f"{text}: {name} takes one value")


def _value(node: ast.expr, settings: Mapping[str, float | str]) -> float:
    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return float(settings[name])
        case ast.BinOp(left=left, op=op, right=right):
            return _TWO[type(op)](_value(left, settings), _value(right, settings))
        case ast.UnaryOp(op=one, operand=operand):
            return _ONE[type(one)](_value(operand, settings))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return float(FUNCTIONS[name](*(_value(argument, settings) for argument in arguments)))
    raise AssertionError(ast.dump(node))


def _hint(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
