"""What a store gives: images, looks, rounds and stations as values."""

from dataclasses import dataclass

from brainloop._types import FloatArray, IntArray

__all__ = ["Looks", "PoolImage", "Round", "StationRecord"]


@dataclass(frozen=True)
class PoolImage:
    """An image of a study.

    Parameters
    ----------
    id : int
        Its place in the store.
    hash : str
        Of its content: what makes it this image.
    path : str
        Below the study's folder of images.
    label : str or None
        Its class folder.
    part : str
        ``pool``, ``test`` (never shown), ``calibration`` (shown there alone), ``aside`` (thinned out) or ``unusable``
        (could not be decoded).
    annotation : str or None
        Its class by the annotations that an audit doubts.
    """

    id: int
    hash: str
    path: str
    label: str | None
    part: str
    annotation: str | None = None


@dataclass(frozen=True)
class Round:
    """What a round came to; counts and seconds are sums over the study so far.

    Parameters
    ----------
    number : int
        From 1.
    looks, rejected, images : int
        Presentations that were answered, those of them whose epoch was rejected, and images seen at least once.
    viewing_s, machine_s : float
        Time that the person looked (looks x SOA and the pauses between blocks) and that the machine took to label,
        train, score and query, s; after an erasure, that it took to train again.
    unsure : float
        Share of the pool with a confidence below the threshold.
    auc, auc_low, auc_high : float or None
        Area under the ROC curve on the test part and its 95 % bootstrap interval; None where truth is unknown. Of
        several classes it is the mean over them, each against the rest, without an interval.
    converged : bool
        Whether the talk's criterion was met.
    accuracy, accuracy_low, accuracy_high : float or None
        Of several classes, the share of the test part that is told rightly, and its 95 % interval (Wilson 1927).
    """

    number: int
    looks: int
    rejected: int
    images: int
    viewing_s: float
    machine_s: float
    unsure: float
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    converged: bool
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None


@dataclass(frozen=True)
class Looks:
    """Every answered presentation in the order of its plan; arrays of shape (n_looks,).

    Parameters
    ----------
    image : array of int
        Ids.
    score, evidence : array of float
        The decoder's score, NaN where the epoch was rejected, and the evidence, nats.
    rejected, source : list
        Why an epoch was rejected, or None, and where the response comes from.
    round, block, position : array of int
        Its place in the plan.
    target : list of str
        What was looked for.
    person, station, session : list of str
        Who looked, where, and in which recording session.
    at : array of float
        When the store took the response, Unix time of the store's clock, s; NaN for looks of an older schema.
    """

    image: IntArray
    score: FloatArray
    evidence: FloatArray
    rejected: list[str | None]
    source: list[str]
    round: IntArray
    block: IntArray
    position: IntArray
    target: list[str]
    person: list[str]
    station: list[str]
    session: list[str]
    at: FloatArray


@dataclass(frozen=True)
class StationRecord:
    """A station, as the store knows it.

    Parameters
    ----------
    name, person : str
        Its name, and who sits there.
    alive : bool
        Whether its leases hold: it has renewed them of late.
    seen : float
        How long ago that was, s.
    clock_offset : float or None
        Its machine's clock minus the store's when it came, s; None for a station that never said.
    looks : int
        Responses that it gave.
    blocks : int
        Blocks that it holds: planned, and not answered in full yet.
    """

    name: str
    person: str
    alive: bool
    seen: float
    clock_offset: float | None
    looks: int
    blocks: int
