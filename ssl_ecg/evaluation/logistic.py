"""Many softmax regressions on the same features, solved at once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Fit:
    """Solutions of P problems.

    Attributes:
        coefficients: shape (d + 1, K, P); the last row holds the intercepts.
        logits: of every sample, also of those a problem gives no weight, shape (n, K, P).
        converged: shape (P,), bool.
        iterations: how many the slowest problem took.
    """

    coefficients: Tensor
    logits: Tensor
    converged: Tensor
    iterations: int


class SoftmaxRegressions:
    """P softmax regressions that differ in sample weights and penalties but share features and labels.

    Problem p minimises, over coefficients v (d, K) and intercepts b (K,),

        sum_i weights[i, p] * cross_entropy(x_i v + b, y_i) + 1/2 sum_j penalties[j, p] * |v_j|^2.

    A weight of zero leaves a sample out, so the folds of a cross-validation are problems; a penalty per
    feature makes regularisation strengths and feature weightings problems too. All share two matrix
    products with x an iteration, which is what makes a whole grid as cheap as a few single fits.

    The solver is limited-memory BFGS (Nocedal & Wright, "Numerical Optimization", 2006, algorithm 7.5)
    with the Hessian's diagonal as its first guess. Logits are linear in the coefficients, so the line
    search moves along logits already computed. It converges in few iterations when the columns of x are
    uncorrelated: rotate them to principal axes first, which changes neither penalty nor predictions.

    Args:
        x: features, shape (n, d), float32 or float64, on any device.
        y: class of each sample, shape (n,), int64.
        weights: not negative, each column sums to 1, shape (n, P).
        n_classes: K. A class no weighted sample of a problem has gets probability 0 there.
    """

    def __init__(self, x: Tensor, y: Tensor, weights: Tensor, n_classes: int) -> None:
        self.x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
        self.weights = weights.to(x)[:, None, :]
        of_class = torch.stack([weights.to(x) * (y == k)[:, None] for k in range(n_classes)], dim=1)
        # The data term is sum_i w_i logsumexp(z_i) - <pull, v>: what is linear in v is summed once.
        self.pull = self._transposed(of_class)
        absent = of_class.sum(dim=0) == 0
        self.offset = torch.zeros_like(self.pull[-1]).masked_fill(absent, -1e4)

    def solve(
        self,
        penalties: Tensor,
        start: Tensor | None = None,
        tolerance: float = 1e-6,
        max_iterations: int = 1000,
    ) -> Fit:
        """Minimise all problems.

        Args:
            penalties: shape (d, P), above zero.
            start: coefficients to start from, shape (d + 1, K, P), such as those of a stronger penalty.
            tolerance: a problem is solved when its next step promises to lower the objective by less than
                this, in nats; or when no step lowers it at the precision of x.
            max_iterations: give up on problems not solved by then.
        """
        ridge = torch.cat([penalties, torch.zeros_like(penalties[:1])]).to(self.x)[:, None, :]
        v = torch.zeros_like(self.pull) if start is None else start.clone()
        z = self._logits(v)
        value = self._objective(z, v, ridge)
        diagonal = self._hessian_diagonal(z) + ridge
        memory = _Memory(diagonal.clamp_min(1e-6 * float(diagonal.max())))
        step = gradient = torch.zeros_like(v)
        converged = torch.zeros(v.shape[-1], dtype=torch.bool, device=v.device)
        iteration = 0
        for iteration in range(1, max_iterations + 1):
            previous = gradient
            gradient = self._transposed(torch.softmax(z, dim=1) * self.weights) - self.pull + ridge * v
            if iteration > 1:
                memory.add(step, gradient - previous)
            direction = -memory.times(gradient)
            slope = _dot(gradient, direction)
            converged = converged | (-slope <= 2 * tolerance)
            if bool(converged.all()):
                break
            direction = direction.masked_fill(converged, 0)
            moved = self._logits(direction, offset=False)
            length = torch.ones_like(value)
            for _ in range(20):
                step = (length * direction).to(v)
                trial_z = torch.addcmul(z, moved, length.to(z).expand_as(z))
                trial = self._objective(trial_z, v + step, ridge)
                short = ~converged & ~(trial <= value + 1e-4 * length * slope)
                if not bool(short.any()):
                    break
                length = torch.where(short, length / 2, length)
            converged = converged | short
            step = step.masked_fill(short, 0)
            v, z, value = v + step, torch.where(short, z, trial_z), torch.where(short, value, trial)
        return Fit(v, z, converged, iteration)

    def _logits(self, v: Tensor, offset: bool = True) -> Tensor:
        z: Tensor = (self.x @ v.flatten(1)).unflatten(1, v.shape[1:])
        return z.add_(self.offset) if offset else z

    def _transposed(self, per_sample: Tensor) -> Tensor:
        total: Tensor = (self.x.T @ per_sample.flatten(1)).unflatten(1, per_sample.shape[1:])
        return total

    def _objective(self, z: Tensor, v: Tensor, ridge: Tensor) -> Tensor:
        """Shape (P,), float64: near the solution, float32 sums over samples would drown the decrease."""
        data = (torch.logsumexp(z, dim=1) * self.weights[:, 0]).sum(dim=0, dtype=torch.float64)
        return data - _dot(self.pull, v) + 0.5 * _dot(ridge * v, v)

    def _hessian_diagonal(self, z: Tensor) -> Tensor:
        total = torch.zeros_like(self.pull)
        for rows in torch.arange(len(z), device=z.device).split(8192):
            p = torch.softmax(z[rows], dim=1)
            total += (self.x[rows].square().T @ (p * (1 - p) * self.weights[rows]).flatten(1)).view_as(total)
        return total


class _Memory:
    """The last steps and gradient changes of P problems, and the inverse Hessians they imply."""

    def __init__(self, diagonal: Tensor, size: int = 20) -> None:
        self.inverse = 1 / diagonal
        self.scale = torch.ones(diagonal.shape[-1], dtype=torch.float64, device=diagonal.device)
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=size)

    def add(self, step: Tensor, change: Tensor) -> None:
        curvature = _dot(step, change)
        usable = curvature > 0  # a converged problem takes no step: its pair counts for nothing
        rho = torch.where(usable, 1 / curvature, 0.0)
        self.pairs.append((step, change, rho))
        natural = _dot(change, self.inverse * change)
        self.scale = torch.where(usable, curvature / natural, self.scale)

    def times(self, gradient: Tensor) -> Tensor:
        q = gradient
        alphas: list[Tensor] = []
        for step, change, rho in reversed(self.pairs):
            alphas.append(rho * _dot(step, q))
            q = q - alphas[-1].to(q) * change
        r = self.scale.to(q) * self.inverse * q
        for (step, change, rho), alpha in zip(self.pairs, reversed(alphas), strict=True):
            r = r + (alpha - rho * _dot(change, r)).to(r) * step
        return r


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product per problem, shape (P,), float64."""
    return (a * b).sum(dim=(0, 1), dtype=torch.float64)
