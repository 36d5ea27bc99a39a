"""The four systems: how a classifier learns from evidence and what it asks about, each defined once.

``talk``       the talk's rule, head and query, as strong as its own words allow: the baseline
``hard``       the same without soft labels: every weight is 1
``brainloop``  ours
``truth``      ours, told the truth: the ceiling
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from brainloop._types import FloatArray
from brainloop.classifier.features import FEATURES, FeatureMap
from brainloop.classifier.heads import HEADS, AnyHead
from brainloop.classifier.query import QUERIES, Belief
from brainloop.errors import SettingsError
from brainloop.labels import RULES

__all__ = ["SYSTEMS", "System"]


@dataclass(frozen=True)
class System:
    """A way to learn from evidence, and to ask for more.

    Parameters
    ----------
    rule : str
        The loss, in `brainloop.labels.RULES`.
    head : str
        What is trained, in `brainloop.classifier.heads.HEADS`.
    regularisation : {"laplace", "cross_validation", "better"}
        How the L2 penalty is chosen.
    query : str
        What is shown next, in `brainloop.classifier.query.QUERIES`.
    start : str
        What is shown first; a query too.
    told_truth : bool
        Whether the observer is replaced by one who always knows.

    Raises
    ------
    SettingsError
        If a name is unknown.
    """

    rule: str
    head: str
    regularisation: str
    query: str
    start: str = "random"
    told_truth: bool = False

    def __post_init__(self) -> None:
        known: dict[str, Mapping[str, Any]] = {"rule": RULES, "head": HEADS, "query": QUERIES, "start": QUERIES}
        for name, names in known.items():
            if getattr(self, name) not in names:
                raise SettingsError(f"{name}: expected one of {', '.join(names)}; {getattr(self, name)!r} came")

    @property
    def feature_map(self) -> str:
        """Name of the head's feature map, in `brainloop.classifier.features.FEATURES`."""
        return HEADS[self.head][0]

    def fit_features(self, pool: FloatArray, seed: int = 0) -> FeatureMap:
        """Fit the head's feature map on the pool's embeddings, shape (n_pool, width)."""
        return FEATURES[self.feature_map].fit(pool, seed=seed)

    def learn(
        self, features: FloatArray, evidence: FloatArray, *, label_threshold: float = 0.5, seed: int = 0
    ) -> AnyHead:
        """Train the head on the images that were looked at: features (n, n_features), evidence (n,) in nats."""
        _, train = HEADS[self.head]
        return train(
            features,
            evidence,
            rule=self.rule,
            label_threshold=label_threshold,
            regularisation=self.regularisation,
            seed=seed,
        )

    def asks_of(self, belief: Belief) -> FloatArray:
        """Give the log-odds, (n_pool,) nats, whose confidence decides what is asked and when the classifier is sure."""
        return belief.log_odds if self.query == "least_confident" else belief.posterior


TALK = System(rule="talk", head="linear", regularisation="laplace", query="least_confident")
BRAINLOOP = System(
    rule="posterior", head="kernel", regularisation="laplace", query="variance_reduction", start="k_means"
)

SYSTEMS: dict[str, System] = {
    "brainloop": BRAINLOOP,
    "talk": TALK,
    "hard": replace(TALK, rule="hard"),
    "truth": replace(BRAINLOOP, told_truth=True),
}
"""Every system, by the name that a study's settings use."""
