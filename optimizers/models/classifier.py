"""A Gaussian process classifier for several labels."""

import math

import numpy as np
import torch
from torch import Tensor

from optimizers.models.kernels import Stationary
from optimizers.models.log_normal import LogNormal
from optimizers.models.mapping import Chances, Integers
from optimizers.models.with_slopes import with_slopes
from optimizers.space.search import torch_loss
from optimizers.space.space import Floats

_DRAWS = 128  # of the latents; in pairs on either side of their mean
_NEWTON = 30  # steps at most
_RULED_OUT = 0.01  # lowest chance that another model can give: it may be wrong
_LEAST = 1e-9  # of a worth, whose logarithm is taken
_SURE = 1e-6  # change of the log posterior that ends Newton's iterations

# Log-normal priors: likeliest value and standard deviation of the logarithm. The length is per root of the dimension of the unit box.
_AMPLITUDE = (5.0, 0.5)
_CORRECTION = (2.0, 0.7)  # of the latents around what another model expects
_LENGTH = (0.4, 0.5)


class Classifier:
    """The posterior of the labels after n measurements, by Laplace's approximation; its hyperparameters maximize their posterior.

    The labels that were seen have a latent each. As long as only one was seen, those that were not share one more: there must be
    something else somewhere. Afterwards they have no chance until one of them is seen.
    """

    def __init__(self, X: Floats, labels: Integers, n_labels: int, values: Floats | None = None, expected: Chances | None = None) -> None:
        """Learn from the labels [n], numbers below n_labels, at points X [n, D].

        Args:
            values: Hyperparameters [1 + D] of an earlier posterior, `values`, that are taken as they are; fitted without them.
            expected: Chances before anything was measured, whose logarithms are the means of the latents; all alike without them.
        """
        self._X, self._n_labels = torch.from_numpy(X), n_labels
        self._seen = sorted(set(labels.tolist()))
        n_latents = max(len(self._seen), min(2, n_labels))
        row = torch.tensor([self._seen.index(k) for k in labels.tolist()])
        self._is = torch.nn.functional.one_hot(row, n_latents).T.double()  # [C, n]
        self._latents = [*self._seen, *(k for k in range(n_labels) if k not in self._seen)][:n_latents]
        self._expected = expected
        length = (_LENGTH[0] * math.sqrt(X.shape[1]), _LENGTH[1])
        self._kernel = Stationary(_AMPLITUDE if expected is None else _CORRECTION, (length,) * X.shape[1])
        self._among = self._kernel.among(X)
        self._mean = self._means(self._X)  # [C, n]
        self._weights = torch.zeros_like(self._is)  # the latents' mode is mean + weights · K
        self._mode_before = self._mean
        self.values = self._fitted() if values is None else values
        """Hyperparameters [1 + D]: the latents' amplitude, and a length scale per column."""
        with torch.no_grad():
            self._evidence(torch.from_numpy(np.log(self.values)))
            K = self._covariance(self._X)
            self._residual, self._E, self._M = self._curvature(self._mean + self._weights @ K, K)[1:]
        generator = torch.Generator().manual_seed(0)
        half = torch.randn(_DRAWS // 2, n_latents, generator=generator, dtype=torch.double)
        self._draws = torch.cat([half, -half])

    def _means(self, X: Tensor) -> Tensor:
        """The latents [C, b] that are expected at points X [b, D] before anything was measured."""
        if self._expected is None:
            return X.new_zeros(len(self._latents), len(X))
        return self._expected(X).T[self._latents].clamp(_RULED_OUT, 1).log()

    def _fitted(self) -> Floats:
        loss = torch_loss(lambda theta: -self._evidence(theta))

        def likelihood(theta: Floats) -> tuple[float, Floats]:
            value, gradient = loss(theta)
            return -value, -gradient

        return np.exp(LogNormal(self._kernel.priors).maximized(likelihood))

    def _covariance(self, X: Tensor) -> Tensor:
        """Prior covariance [b, n] of a latent between points X [b, D] and those measured."""
        theta, known = np.log(self.values), self._X.numpy()
        return with_slopes(
            lambda A: self._kernel.covariance(theta, A, known), lambda A, pull: self._kernel.slopes(theta, A, known, pull), X
        )

    def _evidence(self, theta: Tensor) -> Tensor:
        """The logarithm of the labels' marginal likelihood; differentiable in the logarithms [1 + D] of the hyperparameters."""
        K = with_slopes(lambda t: self._among(t)[0], lambda t, pull: self._among(t)[1](pull), theta)
        with torch.no_grad():
            K0 = K.detach()
            self._weights = self._mode(K0)
            mode = self._mode_before = self._mean + self._weights @ K0
            _, residual, E, M = self._curvature(mode, K0)
        # What follows is nothing in value, and has the derivative of the mode: d mode = (1 + K W)⁻¹ dK · residual.
        pushed = residual @ (K - K0)
        held = E @ pushed[..., None]
        moved = pushed - (held - E @ torch.cholesky_solve(held.sum(0), M))[..., 0] @ K0
        log_det = self._curvature(mode + moved, K)[0]
        return self._log_posterior(self._weights, mode) + (residual * pushed).sum() / 2 - log_det

    def _mode(self, K: Tensor) -> Tensor:
        """The weights [C, n] that maximize the log posterior, from the last mode on."""
        # Where other hyperparameters make that a bad start, the prior's mode is none.
        starts = [self._step(self._mode_before, K), torch.zeros_like(self._is)]
        reached, weights = max(((self._log_posterior(w, self._mean + w @ K), w) for w in starts), key=lambda pair: float(pair[0]))
        for _ in range(_NEWTON):
            step = self._step(self._mean + weights @ K, K) - weights
            size = 1.0
            while (value := self._log_posterior(w := weights + size * step, self._mean + w @ K)) < reached and size > 1e-3:
                size /= 2
            weights, gain, reached = weights + size * step, value - reached, value
            if gain < _SURE:
                break
        return weights

    def _log_posterior(self, weights: Tensor, latents: Tensor) -> Tensor:
        value: Tensor = -(weights * (latents - self._mean)).sum() / 2 + (self._is * latents).sum() - latents.logsumexp(0).sum()
        return value

    def _step(self, latents: Tensor, K: Tensor) -> Tensor:
        """The weights [C, n] after one step of Newton's method from latents [C, n]."""
        _, residual, E, M = self._curvature(latents, K)
        chance = latents.softmax(0)
        moved = latents - self._mean
        b = chance * moved - chance * (chance * moved).sum(0) + residual
        c = (E @ (b @ K)[..., None])[..., 0]
        return b - c + (E @ torch.cholesky_solve(c.sum(0)[:, None], M))[..., 0]

    def _curvature(self, latents: Tensor, K: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Half the log determinant of the evidence, labels less chances [C, n], and E [C, n, n] and M [n, n] of the source."""
        chance = latents.softmax(0)
        root = chance.sqrt()
        L = torch.linalg.cholesky(torch.eye(len(K), dtype=K.dtype) + root[:, :, None] * K * root[:, None, :])
        E = root[:, :, None] * torch.cholesky_inverse(L) * root[:, None, :]
        M = torch.linalg.cholesky(E.sum(0))
        return L.diagonal(dim1=-2, dim2=-1).log().sum() + M.diagonal().log().sum(), self._is - chance, E, M

    def _drawn(self, X: Tensor) -> Tensor:
        """Equally probable chances [draws, b, C] of the labels with a latent, at points X [b, D]."""
        k = self._covariance(X)
        mean = self._means(X).T + k @ self._residual.T
        spent = k @ self._E  # [C, b, n]
        shared = torch.linalg.solve_triangular(self._M, spent.mT, upper=False)
        own = float(self.values[0]) ** 2 - (spent * k).sum(-1)
        covariance = torch.einsum("cnb,dnb->bcd", shared, shared) + torch.diag_embed(own.T + 1e-6)
        latents = mean + torch.einsum("bcd,sd->sbc", torch.linalg.cholesky(covariance), self._draws)
        return latents.softmax(-1)

    def doubt(self, X: Tensor) -> Tensor:
        """The logarithm of least confidence times the root of how open the chances are, at points X [b, D], [b]."""
        drawn = self._drawn(X)
        return (1 - drawn.mean(0).amax(1) + _LEAST).log() + _log_openness(drawn) / 2

    def openness(self, X: Tensor) -> Tensor:
        """The logarithm of how open the chances are at points X [b, D], [b]: of their largest standard deviation over the draws."""
        return _log_openness(self._drawn(X))

    def chances(self, X: Tensor) -> Tensor:
        """The chance [b, n_labels] of every label at points X [b, D]."""
        mean = self._drawn(X).mean(0)
        table = X.new_zeros(len(X), self._n_labels)
        table[:, self._seen] = mean[:, : len(self._seen)]
        if unseen := [k for k in range(self._n_labels) if k not in self._seen and mean.shape[1] > len(self._seen)]:
            table[:, unseen] = mean[:, len(self._seen) :] / len(unseen)
        return table


def _log_openness(drawn: Tensor) -> Tensor:
    return (drawn.var(0, correction=0).amax(1) + _LEAST**2).log() / 2
