"""A map of embeddings, by class and by patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import UserError
from ssl_ecg.report.style import colour, marker, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def embedding_map(
    embeddings: NDArray[np.floating[Any]],
    y: NDArray[np.integer[Any]],
    classes: Sequence[str],
    patients: NDArray[Any],
    *,
    title: str = "",
    grey: Sequence[str] = (),
    max_points: int = 6000,
    seed: int = 0,
) -> Figure:
    """The two leading principal components, coloured by class and, beside it, by patient.

    What is seen side by side is the question to ask of any ECG representation: does it group heartbeats by
    what they are, or by whose they are? Rare classes are drawn last, and shown in full before common ones.

    Args:
        embeddings: shape (n, D).
        y: class indices, shape (n,).
        classes: the K class names.
        patients: whose each sample is, shape (n,).
        title: above both maps.
        grey: classes that are none of their own, such as "several": drawn in grey, below all others.
        max_points: draw at most about this many, each class getting a like share.
        seed: of that choice.

    Raises:
        UserError: if the arrays differ in length.
    """
    if not len(embeddings) == len(y) == len(patients) or embeddings.ndim != 2:
        raise UserError(
            f"expected embeddings (n, D), labels (n,) and patients (n,), got {embeddings.shape}, {y.shape}, "
            f"{patients.shape}"
        )
    points, explained = _two_components(embeddings)
    shown = _evenly(y, max_points, np.random.default_rng(seed))
    figure = new_figure(11, 5.2)
    by_class, by_patient = figure.subplots(1, 2, sharex=True, sharey=True)
    size = float(np.clip(4000 / max(len(shown), 1), 4, 30))

    counts = np.bincount(y, minlength=len(classes))
    coloured = np.array([name not in grey for name in classes], dtype=np.bool_)
    for rank, i in enumerate(np.lexsort((-counts, coloured))):
        mine = shown[y[shown] == i]
        if len(mine):
            look = {
                "color": colour(i) if coloured[i] else "#AAAAAA",
                "marker": marker(i),
                "s": size * (1 + 0.5 * (rank > 0)),
                "linewidths": 0,
            }
            label = f"{classes[i]} ({counts[i]:,})"
            by_class.scatter(*points[mine].T, alpha=0.35 if rank == 0 else 0.7, label=label, **look)
    by_class.set_title("by class")
    handles, labels = by_class.get_legend_handles_labels()
    in_order = sorted(range(len(labels)), key=lambda i: [*classes].index(labels[i].rpartition(" (")[0]))
    legend = by_class.legend(
        [handles[i] for i in in_order], [labels[i] for i in in_order], framealpha=0.9, markerscale=2, fontsize=9
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)

    import matplotlib

    names, whose = np.unique(patients, return_inverse=True)
    order = np.random.default_rng(seed).permutation(shown)  # so that no patient lies on top of all others
    by_patient.scatter(
        *points[order].T,
        c=matplotlib.colormaps["turbo"](whose[order] / max(len(names) - 1, 1)),
        s=size,
        alpha=0.5,
        linewidths=0,
    )
    by_patient.set_title(f"by patient ({len(names)}, a colour each)")
    for axes in (by_class, by_patient):
        axes.set_xlabel(f"first principal component ({100 * explained[0]:.0f} % of the variance)")
        tidy(axes)
    by_class.set_ylabel(f"second principal component ({100 * explained[1]:.0f} %)")
    if title:
        figure.suptitle(title)
    return figure


def _two_components(x: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projections on the two leading principal axes (n, 2), and the share of variance of each (2,)."""
    centred = np.asarray(x, dtype=np.float64) - x.mean(axis=0, dtype=np.float64)
    if centred.shape[1] < 2:
        centred = np.pad(centred, ((0, 0), (0, 2 - centred.shape[1])))
    variances, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    return centred @ axes, variances[::-1][:2] / max(variances.sum(), np.finfo(np.float64).tiny)


def _evenly(y: NDArray[np.integer[Any]], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of about n samples: rare classes whole, what is left shared by the common ones."""
    chosen: list[NDArray[np.int64]] = []
    groups = sorted((np.flatnonzero(y == i) for i in np.unique(y)), key=len)
    for done, group in enumerate(groups):
        share = (n - sum(map(len, chosen))) // (len(groups) - done)
        chosen.append(rng.permutation(group)[:share])
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)


_COLOURS = 8  # so many are told apart in a figure


def one_class(targets: NDArray[np.bool_], classes: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The only class of each sample, for figures that have room for one.

    Args:
        targets: which classes each sample belongs to, shape (n, K).
        classes: the K class names.

    Returns:
        Indices, shape (n,), and what they stand for: the classes most samples have alone, as many as there are colours,
        and last what all other samples are.
    """
    alone = targets.sum(axis=1) == 1
    common = np.argsort(-targets[alone].sum(axis=0), kind="stable")[:_COLOURS]
    kept = sorted(common.tolist())
    mine = targets[:, kept] & alone[:, None]
    y = np.where(mine.any(axis=1), mine.argmax(axis=1), len(kept))
    rest = "several" if len(kept) == len(classes) else "several or a rarer one"
    return y, (*(classes[i] for i in kept), rest)
