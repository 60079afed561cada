"""Many logistic regressions on the same features, softmax or binary, solved at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

_CERTAIN = 1e4  # the logit of what no sample, or no other sample, of a problem is
_STALLED = 20  # iterations that together lower an objective by less than its rounding end the search
_IN_CACHE = 2**18  # logits: what a processor works on without going back to memory


@dataclass(frozen=True, slots=True)
class Fit:
    """Solutions of P problems, and how many iterations the slowest took.

    Coefficients have shape (d + 1, K, P), K being 1 for binary problems, with the intercepts in the last row; logits
    (n, K, P) are those of every sample, also of one that a problem gives no weight; `converged` has shape (P,).
    """

    coefficients: Tensor
    logits: Tensor
    converged: Tensor
    iterations: int


class Regressions(ABC):
    """P logistic regressions that differ in sample weights, penalties or targets but share their features.

    Problem p minimises, over coefficients v (d, K) and intercepts b (K,),

        sum_i weights[i, p] * (A(z_i) - <t_i, z_i>) + 1/2 sum_j penalties[j, p] * |v_j|^2,  z_i = x_i v + b,

    where A is the log-partition and t the targets; A(z) - <t, z> is the cross-entropy. A weight of zero leaves a sample
    out, so folds are problems; a penalty per feature makes values of C and block weights problems too. All share two
    matrix products with x an iteration, which makes a whole grid as cheap as a few single fits.

    The solver is limited-memory BFGS (Nocedal & Wright, "Numerical Optimization", 2006, algorithm 7.5) with the
    Hessian's diagonal as its first guess. Logits are linear in the coefficients, so the line search moves along logits
    already computed. It takes few iterations where the columns of x are uncorrelated (`Design` rotates them).

    Args:
        x: features, shape (n, d), float32 or float64, on any device.
        weights: not negative, each column sums to 1, shape (n, P); or (n, 1) where all problems share them.
        weighted_targets: t times the weights, shape (n, K, P).
    """

    def __init__(self, x: Tensor, weights: Tensor, weighted_targets: Tensor) -> None:
        self.x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
        self.weights = weights.to(x)[:, None, :]
        # What is linear in v, <pull, v>, is summed over the samples once.
        self.pull: Tensor = (self.x.T @ weighted_targets.flatten(1)).unflatten(1, weighted_targets.shape[1:])
        self.offset = torch.zeros_like(self.pull[-1])

    @abstractmethod
    def log_partition(self, z: Tensor) -> Tensor:
        """A of logits (n, K, P), shape (n, P)."""

    @abstractmethod
    def mean(self, z: Tensor) -> Tensor:
        """The gradient of A: probabilities, shape (n, K, P)."""

    def first_guess(self) -> Tensor:
        """Where to start if nothing better is known, shape (d + 1, K, P)."""
        return torch.zeros_like(self.pull)

    def solve(
        self,
        penalties: Tensor,
        start: Tensor | None = None,
        tolerance: float | Tensor = 1e-6,
        max_iterations: int = 1000,
    ) -> Fit:
        """Minimise all problems, from `start` (d + 1, K, P), such as the solution for a stronger penalty.

        Penalties (d, P) are above zero. A problem is solved when its next step promises to lower the objective by less
        than the tolerance, in nats, one for all or (P,); or when steps no longer lower it at the precision of x.
        """
        ridge = torch.cat([penalties, torch.zeros_like(penalties[:1])]).to(self.x)[:, None, :]
        v = self.first_guess() if start is None else start.clone()
        z = self._logits(v)
        value = self._objective(z, v, ridge)
        diagonal = self._hessian_diagonal(z) + ridge
        memory = _Memory(diagonal.clamp_min(1e-6 * diagonal.amax(dim=(0, 1))))
        enough = torch.as_tensor(tolerance, dtype=torch.float64, device=v.device).expand(v.shape[-1])
        step = gradient = torch.zeros_like(v)
        converged = torch.zeros(v.shape[-1], dtype=torch.bool, device=v.device)
        found = _Found(v, z, converged)
        problem, iteration = self, 0
        precision, before = torch.finfo(v.dtype).eps, value
        for iteration in range(1, max_iterations + 1):
            previous = gradient
            gradient = problem._expected(z) - problem.pull + ridge * v
            if iteration > 1:
                memory.add(step, gradient - previous)
            direction = -memory.times(gradient)
            slope = _dot(gradient, direction)
            converged = converged | (-slope <= 2 * enough)
            if iteration % _STALLED == 0:  # what it promises is below the rounding of x
                converged, before = converged | (before - value <= precision * value.abs()), value
            if bool(converged.all()):
                break
            if int(converged.sum()) >= max(16, len(converged) // 8):  # else copying the others costs more
                found.put(v, z, converged)
                left = ~converged
                found.left, problem, memory = found.left[left], problem._only(left), memory.only(left)
                v, z, ridge, gradient, direction = (t[..., left] for t in (v, z, ridge, gradient, direction))
                value, slope, enough, converged, before = (t[left] for t in (value, slope, enough, converged, before))
            direction = direction.masked_fill(converged, 0)
            moved = problem._logits(direction, offset=False)
            length = torch.ones_like(value)
            for _ in range(20):
                step = (length * direction).to(v)
                trial_z = torch.addcmul(z, moved, length.to(z).expand_as(z))
                trial = problem._objective(trial_z, v + step, ridge)
                short = ~converged & ~(trial <= value + 1e-4 * length * slope)
                if not bool(short.any()):
                    break
                length = torch.where(short, length / 2, length)
            converged = converged | short
            step = step.masked_fill(short, 0)
            if bool(short.any()):
                trial_z = torch.where(short, z, trial_z)
            v, z, value = v + step, trial_z, torch.where(short, value, trial)
        found.put(v, z, converged)
        return Fit(found.v, found.z, found.converged, iteration)

    def _only(self, which: Tensor) -> Regressions:
        """Some of the problems."""
        some = copy(self)
        some.pull, some.offset = self.pull[..., which], self.offset[..., which]
        some.weights = self.weights if self.weights.shape[-1] == 1 else self.weights[..., which]
        return some

    def _logits(self, v: Tensor, offset: bool = True) -> Tensor:
        z: Tensor = (self.x @ v.flatten(1)).unflatten(1, v.shape[1:])
        return z.add_(self.offset) if offset else z

    def _objective(self, z: Tensor, v: Tensor, ridge: Tensor) -> Tensor:
        """Shape (P,), float64: near the solution, float32 sums over samples would drown the decrease."""
        data = sum(
            (self.log_partition(z[rows]) * self.weights[rows, 0]).sum(dim=0, dtype=torch.float64) for rows in _parts(z)
        )
        return data - _dot(self.pull, v) + 0.5 * _dot(ridge * v, v)

    def _expected(self, z: Tensor) -> Tensor:
        """What the logits give for `pull`: the gradient of A, summed over the samples with x."""
        total = torch.zeros_like(self.pull).flatten(1)
        for rows in _parts(z):
            total.addmm_(self.x[rows].T, (self.mean(z[rows]) * self.weights[rows]).flatten(1))
        return total.view_as(self.pull)

    def _hessian_diagonal(self, z: Tensor) -> Tensor:
        total = torch.zeros_like(self.pull)
        for rows in _parts(z):
            p = self.mean(z[rows])
            total += (self.x[rows].square().T @ (p * (1 - p) * self.weights[rows]).flatten(1)).view_as(total)
        return total


class SoftmaxRegressions(Regressions):
    """P softmax regressions on the same features (n, d) and targets, bool (n, K), with weights (n, P).

    A class that no weighted sample of a problem has gets probability 0 there.
    """

    def __init__(self, x: Tensor, targets: Tensor, weights: Tensor) -> None:
        of_class = weights.to(x)[:, None, :] * targets[:, :, None]
        super().__init__(x, weights, of_class)
        self.offset = self.offset.masked_fill(of_class.sum(dim=0) == 0, -_CERTAIN)

    def log_partition(self, z: Tensor) -> Tensor:
        """Shape (n, P)."""
        return torch.logsumexp(z, dim=1)

    def mean(self, z: Tensor) -> Tensor:
        """Shape (n, K, P)."""
        return torch.softmax(z, dim=1)


class BinaryRegressions(Regressions):
    """P binary regressions on the same features (n, d), each with a target of its own, bool (n, P).

    Weights have shape (n, P) or (n, 1). A problem whose weighted samples are all positive gets probability 1
    everywhere, one without positives 0.
    """

    def __init__(self, x: Tensor, targets: Tensor, weights: Tensor) -> None:
        positive = targets.to(x) * weights.to(x)
        super().__init__(x, weights, positive[:, None, :])
        some = positive.sum(dim=0) > 0
        others = (weights.to(x) * ~targets).sum(dim=0) > 0
        self.offset = _CERTAIN * ((~others).to(x) - (~some).to(x))[None]

    @property
    def entropy(self) -> Tensor:
        """What the intercept alone leaves unexplained, in nats, shape (P,), float64: what a rare class can gain."""
        share = self.pull[-1, 0].double()
        left: Tensor = torch.special.entr(share) + torch.special.entr(1 - share)
        return left

    def first_guess(self) -> Tensor:
        """The intercept alone: from there the curvature is that of a rare class, not that of a coin."""
        guess = super().first_guess()
        guess[-1] = self.pull[-1].logit(1e-6)
        return guess.masked_fill(self.offset != 0, 0)

    def log_partition(self, z: Tensor) -> Tensor:
        """Shape (n, P): softplus, in functions that have vector instructions, as log1p has not; ten times as fast."""
        flat = z[:, 0]
        return flat.clamp_min(0).sub_(flat.abs().sigmoid_().log_())

    def mean(self, z: Tensor) -> Tensor:
        """Shape (n, 1, P)."""
        return z.sigmoid()


class _Found:
    """Where the solutions of all problems are gathered as they leave, and which are still being solved."""

    def __init__(self, v: Tensor, z: Tensor, converged: Tensor) -> None:
        self.v, self.z, self.converged = v, z, converged
        self.left = torch.arange(len(converged), device=v.device)

    def put(self, v: Tensor, z: Tensor, converged: Tensor) -> None:
        if len(self.left) == len(self.converged):  # nobody has left: nothing to put together
            self.v, self.z, self.converged = v, z, converged
        else:
            self.v[..., self.left], self.z[..., self.left], self.converged[self.left] = v, z, converged


class _Memory:
    """The last steps and gradient changes of P problems, and the inverse Hessians they imply."""

    def __init__(self, diagonal: Tensor, size: int = 20) -> None:
        self.inverse = 1 / diagonal
        self.scale = torch.ones(diagonal.shape[-1], dtype=torch.float64, device=diagonal.device)
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=size)

    def only(self, which: Tensor) -> _Memory:
        """Of some of the problems."""
        some = copy(self)
        some.inverse, some.scale = self.inverse[..., which], self.scale[which]
        pairs = ((step[..., which], change[..., which], rho[which]) for step, change, rho in self.pairs)
        some.pairs = deque(pairs, maxlen=self.pairs.maxlen)
        return some

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


def _parts(z: Tensor) -> list[slice]:
    """The samples of logits (n, K, P) in parts that fit into a processor's cache; all at once elsewhere."""
    size = max(256, _IN_CACHE // z[0].numel()) if z.device.type == "cpu" else len(z)
    return [slice(i, i + size) for i in range(0, len(z), size)]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product per problem, shape (P,), float64."""
    return (a * b).sum(dim=(0, 1), dtype=torch.float64)
