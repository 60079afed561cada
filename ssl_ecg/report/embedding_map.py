"""A map of embeddings, by class and by patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.report.style import COLOURS, colour, marker, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def embedding_map(
    embeddings: NDArray[np.floating[Any]],
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    patients: NDArray[Any],
    *,
    grey: Sequence[str] = (),
    max_points: int = 6000,
) -> Figure:
    """Draw the two leading principal components, coloured by class and, in a second panel, by patient.

    Together they show whether embeddings (n, D) group by diagnosis or by patient. `y` and `patients` are those of each
    sample, (n,); `grey` names what stands for no single class, such as "several": drawn in grey, below all others. At
    most about `max_points` are drawn, each class getting a like share: rare classes last and whole. UserError for
    arrays of different lengths.
    """
    if not len(embeddings) == len(y) == len(patients) or embeddings.ndim != 2:
        raise UserError(
            f"expected embeddings (n, D), labels (n,) and patients (n,), got {embeddings.shape}, {y.shape}, "
            f"{patients.shape}"
        )
    points, explained = two_components(embeddings)
    shown = _evenly(y, max_points, np.random.default_rng(0))
    figure = new_figure(11, 5.2)
    by_class, by_patient = figure.subplots(1, 2, sharex=True, sharey=True)
    size = float(np.clip(4000 / max(len(shown), 1), 4, 30))

    counts = np.bincount(y, minlength=len(classes))
    coloured = np.array([name not in grey for name in classes], dtype=np.bool_)
    drawn = {}
    for rank, i in enumerate(np.lexsort((-counts, coloured)).tolist()):
        mine = shown[y[shown] == i]
        if len(mine):
            look = {"color": colour(i) if coloured[i] else "#AAAAAA", "marker": marker(i), "linewidths": 0}
            drawn[i] = by_class.scatter(
                *points[mine].T,
                s=size * (1 + 0.5 * (rank > 0)),
                alpha=0.35 if rank == 0 else 0.7,
                label=f"{classes[i]} ({counts[i]:,})",
                **look,
            )
    legend = by_class.legend(handles=[drawn[i] for i in sorted(drawn)], framealpha=0.9, markerscale=2, fontsize=9)
    for handle in filter(None, legend.legend_handles):
        handle.set_alpha(1)

    names, patient = np.unique(patients, return_inverse=True)
    order = np.random.default_rng(0).permutation(shown)  # so that no patient lies on top of all others
    look = {"c": patient[order], "cmap": "turbo", "vmin": 0, "vmax": max(len(names) - 1, 1)}
    by_patient.scatter(*points[order].T, s=size, alpha=0.5, linewidths=0, **look)
    for axes, heading in ((by_class, "by class"), (by_patient, f"by patient ({len(names)}, a colour each)")):
        axes.set_title(heading)
        axes.set_xlabel(f"first principal component ({100 * explained[0]:.0f} % of the variance)")
        tidy(axes)
    by_class.set_ylabel(f"second principal component ({100 * explained[1]:.0f} %)")
    return figure


def two_components(x: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projections on the two leading principal axes (n, 2), and the share of variance of each (2,)."""
    centred = np.asarray(x, dtype=np.float64) - x.mean(axis=0, dtype=np.float64)
    centred = np.pad(centred, ((0, 0), (0, max(0, 2 - centred.shape[1]))))
    variances, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, [-1, -2]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    return centred @ axes, variances[[-1, -2]] / max(variances.sum(), np.finfo(np.float64).tiny)


def _evenly(y: NDArray[np.integer[Any]], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of about n samples: rare classes whole, what is left shared by the common ones."""
    chosen: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    groups = sorted((np.flatnonzero(y == i) for i in np.unique(y)), key=len)
    for done, group in enumerate(groups):
        share = (n - sum(map(len, chosen))) // (len(groups) - done)
        chosen.append(rng.permutation(group)[:share])
    return np.concatenate(chosen)


def one_class(targets: NDArray[np.bool_], classes: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Find the only class of each sample, for figures that have room for one, from targets (n, K), bool.

    Gives indices (n,) and their names: the classes that most samples have alone, as many as there are colours, and last
    what all other samples are.
    """
    alone = targets.sum(axis=1) == 1
    kept = sorted(np.argsort(-targets[alone].sum(axis=0), kind="stable")[: len(COLOURS)].tolist())
    mine = targets[:, kept] & alone[:, None]
    y = np.where(mine.any(axis=1), mine.argmax(axis=1), len(kept))
    rest = "several" if len(kept) == len(classes) else "several or a rarer one"
    return y, (*(classes[i] for i in kept), rest)
