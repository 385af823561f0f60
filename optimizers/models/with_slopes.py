"""Functions on numpy arrays, with derivatives that are written out, among those of torch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from optimizers.space.space import Floats


class _WithSlopes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Tensor, values: Callable[[Floats], Floats], slopes: Callable[[Floats, Floats], Floats]) -> Tensor:
        ctx.X, ctx.slopes = X.detach().numpy(), slopes
        return torch.from_numpy(values(ctx.X))

    @staticmethod
    def backward(ctx: Any, *pulls: Tensor) -> tuple[Tensor, None, None]:
        return torch.from_numpy(ctx.slopes(ctx.X, pulls[0].numpy())), None, None


def with_slopes(values: Callable[[Floats], Floats], slopes: Callable[[Floats, Floats], Floats], X: Tensor) -> Tensor:
    """Values of a function at points X [b, D], of any shape, whose derivatives torch knows.

    Args:
        slopes: The derivatives of Σ pull · values with respect to the points, [b, D], of points and a pull of the shape of the values.
    """
    found: Tensor = _WithSlopes.apply(X, values, slopes)  # type: ignore[no-untyped-call]
    return found
