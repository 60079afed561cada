"""Few labels, many unlabelled samples: a graph that spreads the labels, and a classifier that teaches itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.estimators.pca import fit_pca
from ssl_ecg.estimators.probe import How
from ssl_ecg.estimators.sampling import evenly_over_patients
from ssl_ecg.sweep.predictors import JudgedPredictor, LinearProbe, Mask, Rows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_NEIGHBOURS = 10
_TEMPERATURE = 0.1  # as in kNN: an edge between samples of cosine similarity s weighs exp((s - 1) / temperature)


class SemiSupervised(JudgedPredictor):
    """A predictor that uses unlabelled train samples too, on at most `components` principal components of the features.

    Of large sets, the unlabelled samples that take part are drawn evenly over patients; the same ones whoever is
    labelled. The labelled ones take part besides.
    """

    components: ClassVar[int]
    most: ClassVar[int]  # unlabelled samples that take part

    @cached_property
    def reduced(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Components of the train and of the test samples."""
        if self.train.shape[1] <= self.components:
            return self.train, self.test
        pca = fit_pca(self.train[self.nodes], self.components)
        return pca(self.train), pca(self.test)

    @cached_property
    def nodes(self) -> Rows:
        """Numbers of the train samples that take part whoever is labelled, ascending."""
        return evenly_over_patients(self.patients, self.most, np.random.default_rng(0))


class Spreading(SemiSupervised):
    """Label spreading: labels flow along the edges of a graph of the ten nearest neighbours.

    Zhou et al., "Learning with local and global consistency", NeurIPS 2003, as scikit-learn's `LabelSpreading` has it,
    for each class alone where a sample may belong to several. What flows is then weighed against how common a class
    is among the labelled where classes exclude each other. A test sample, never part of the graph, has the votes of its
    ten nearest nodes. Chosen: alpha, the share that a node takes from its neighbours; 0.6 where it cannot be. Fixed:
    ten neighbours, temperature 0.1, 64 components. A node that no label reaches has the classes' mean.

    All train samples are nodes; of more than `most` as many, drawn evenly over patients, and the labelled ones
    besides. Where those are more than `most` too, the same number of every labelled patient's as far as they go; no
    labelled patient is left out.
    """

    name, components, setting, fixed = "spreading", 64, "alpha", 0.6
    settings = (0.6, 0.3, 0.9)
    most = 60_000  # nodes cost little, and all of MIT-BIH's beats are fewer

    @cached_property
    def _graph(self) -> _Graph:
        """Of the samples that take part whoever is labelled."""
        return _Graph(self.nodes, *self.reduced)

    def prepared(self, known: Mask) -> Callable[..., NDArray[np.float64]]:
        """Votes of the nearest nodes of one graph, in which labelled samples that are left out stay as unlabelled."""
        rows = np.flatnonzero(known)
        most = max(self.most, len(np.unique(self.patients[rows])))
        drawn = evenly_over_patients(self.patients[rows], most, np.random.default_rng(0))
        nodes = np.union1d(self.nodes, rows[drawn])
        graph = self._graph if len(nodes) == len(self.nodes) else _Graph(nodes, *self.reduced)
        return partial(self._answer, graph)

    def probabilities(self, known: Mask, setting: float, rows: Rows | None = None) -> NDArray[np.float64]:
        """Votes of the nearest nodes."""
        return self.prepared(known)(known, setting, rows)

    def _answer(self, graph: _Graph, known: Mask, setting: float, rows: Rows | None = None) -> NDArray[np.float64]:
        """Votes of the nearest nodes of this graph."""
        labelled, targets = known[graph.nodes], self.targets[graph.nodes]
        if self.side.exclusive:
            spread = _spread_exclusive(graph, labelled, targets, setting)
        else:
            shares = self.targets[known].mean(axis=0)
            columns = [
                _spread(graph, labelled, yes.astype(np.int64), share, setting)
                for yes, share in zip(targets.T, shares, strict=True)
            ]
            spread = np.stack(columns, axis=1)
        return np.asarray((graph.to_test if rows is None else graph.to_train[rows]) @ spread)


class SelfTraining(SemiSupervised):
    """Self-training: a class-balanced logistic regression learns from its own surest predictions too.

    Yarowsky, "Unsupervised word sense disambiguation rivaling supervised methods", ACL 1995, as scikit-learn's
    `SelfTrainingClassifier` has it, for each class alone where a sample may belong to several. Chosen: C, as the linear
    probe chooses it on the labelled samples. Fixed: a prediction counts as a label from 0.9 on, in at most five rounds;
    256 components.
    """

    name, components, setting, fixed = "self_training", 256, "C", 0.0
    most = 20_000

    @property
    def settings(self) -> tuple[float, ...]:
        """Values of C, ascending."""
        return self.side.cs

    def given(self, known: Mask) -> tuple[tuple[float, ...], NDArray[np.float64], How]:
        """The C of a linear probe on the same components."""
        found = LinearProbe(*self.reduced, self.side).predict(known)
        return (found.chosen,), found.curve, found.how

    def probabilities(self, known: Mask, setting: float, rows: Rows | None = None) -> NDArray[np.float64]:
        """Of the classifier after its last round."""
        queries = self.reduced[1] if rows is None else self.reduced[0][rows]
        used = np.union1d(self.nodes, np.flatnonzero(known))
        x, labelled, targets = self.reduced[0][used], known[used], self.targets[used]
        shares = targets[labelled].mean(axis=0)
        if self.side.exclusive:
            found = np.zeros((len(queries), targets.shape[1]))
            if (shares > 0).sum() < 2:
                return np.asarray(found + shares)
            taught = _self_trained(x, np.where(labelled, targets.argmax(axis=1), -1), setting)
            found[:, shares > 0] = taught.predict_proba(queries)
            return found
        columns = [
            _self_trained(x, np.where(labelled, yes, -1), setting).predict_proba(queries)[:, 1]
            if 0 < share < 1
            else np.full(len(queries), share)
            for yes, share in zip(targets.T, shares, strict=True)
        ]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class _Graph:
    """Train samples, of these numbers, joined to their nearest ones; and what others take from them."""

    nodes: NDArray[np.int64]
    train: NDArray[np.float32]
    test: NDArray[np.float32]

    @cached_property
    def edges(self) -> csr_array:
        """Symmetric weights of edges between nodes, shape (nodes, nodes)."""
        edges = _votes(self.train[self.nodes])
        return edges.maximum(edges.T)

    @cached_property
    def to_train(self) -> csr_array:
        """How much of each node's label a train sample takes, rows sum to 1: shape (n, nodes)."""
        return self._shares(self.train)

    @cached_property
    def to_test(self) -> csr_array:
        """The same of a test sample, shape (m, nodes)."""
        return self._shares(self.test)

    def _shares(self, queries: NDArray[np.float32]) -> csr_array:
        votes = _votes(self.train[self.nodes], queries)
        return votes.multiply(1 / votes.sum(axis=1)[:, None]).tocsr()


def _spread(graph: _Graph, labelled: Mask, yes: NDArray[np.int64], share: float, alpha: float) -> NDArray[np.float64]:
    """Probability of one class at each node; `share` where no label arrives."""
    if len(np.unique(yes[labelled])) < 2:
        return np.full(len(yes), share)
    flows = _flows(graph, labelled, yes, alpha)
    return np.where(flows.sum(axis=1) > 0, flows[:, 1], share)


def _spread_exclusive(graph: _Graph, labelled: Mask, targets: Mask, alpha: float) -> NDArray[np.float64]:
    """Probability of each class at each node, as if all labelled ones were equally common."""
    counts = targets[labelled].sum(axis=0)
    there = counts > 0
    balanced = np.zeros(targets.shape)
    if there.sum() > 1:
        balanced[:, there] = _flows(graph, labelled, targets.argmax(axis=1), alpha) / counts[there]
    balanced[balanced.sum(axis=1) == 0] = there if there.any() else 1
    return np.asarray(balanced / balanced.sum(axis=1, keepdims=True))


def _flows(graph: _Graph, labelled: Mask, y: NDArray[np.int64], alpha: float) -> NDArray[np.float64]:
    """What of each class that is there arrives at each node; rows sum to 1, or to 0 where nothing does."""
    from sklearn.semi_supervised import LabelSpreading

    # scikit-learn is given the finished graph, so that it is made once: the "features" are numbers of nodes.
    spreading = LabelSpreading(kernel=lambda *_: graph.edges, alpha=alpha, max_iter=300)
    spreading.fit(np.arange(len(y))[:, None], np.where(labelled, y, -1))
    return np.asarray(spreading.label_distributions_)


def _self_trained(x: NDArray[np.float32], y: NDArray[np.int64], c: float) -> Any:  # noqa: ANN401  (scikit-learn is untyped)
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import SelfTrainingClassifier

    regression = LogisticRegression(C=c, class_weight="balanced", max_iter=500)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="y contains no unlabeled samples")
        return SelfTrainingClassifier(regression, threshold=0.9, max_iter=5).fit(
            x.astype(np.float64), y
        )  # in single precision its solver gives up early


def _votes(nodes: NDArray[np.float32], queries: NDArray[np.float32] | None = None) -> csr_array:
    """Weights of the edges from each query, or each node, to its nearest nodes, itself left out: (queries, nodes)."""
    from scipy.sparse import csr_array
    from sklearn.neighbors import NearestNeighbors

    k = min(_NEIGHBOURS, len(nodes) - (queries is None))
    search = NearestNeighbors(n_neighbors=k).fit(_unit(nodes))
    distance, nearest = search.kneighbors(None if queries is None else _unit(queries))
    weights = np.exp(-(distance.astype(np.float64) ** 2) / 2 / _TEMPERATURE)  # of unit vectors: 1 - s is half of it
    rows = np.arange(0, nearest.size + 1, k)
    return csr_array((weights.ravel(), nearest.ravel(), rows), shape=(len(nearest), len(nodes)))


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12))
