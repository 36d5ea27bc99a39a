"""What the page shows of a study's results: of each image, and of all together."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from brainloop._types import FloatArray
from brainloop.classifier.measure import expected_auc
from brainloop.errors import SettingsError
from brainloop.exports import ImageResult, image_results
from brainloop.study import Study

if TYPE_CHECKING:
    from brainloop.uses.audit_findings import Finding
    from brainloop.uses.review import Sorted

__all__ = ["Results"]


class Results:
    """What is known of every image of a study, kept until something changes: a gallery asks page by page.

    Parameters
    ----------
    study : Study
        Whose.
    is_embedded : callable
        Says whether its images are embedded: until then another process is at it, and nothing is said of them.
    """

    def __init__(self, study: Study, is_embedded: Callable[[], bool]) -> None:
        self._study, self._is_embedded = study, is_embedded
        self._kept: dict[str, tuple[object, Any]] = {}

    def gallery(self, order: str, part: str, offset: int, limit: int) -> dict[str, Any]:
        """Give a page of the images of one part, in an order.

        Raises
        ------
        SettingsError
            If the order is unknown.
        """
        if order not in ORDERS:
            raise SettingsError(f"expected an order of {', '.join(ORDERS)}, got {order!r}")
        found = sorted((one for one in self._images() if one.part == part), key=ORDERS[order])
        return _page([_item(one) for one in found[offset : offset + limit]], len(found))

    def curves(self, calibration: Mapping[str, Any] | None) -> dict[str, Any]:
        """Give the curves and distributions of the study so far, and the mean responses of a calibration."""
        settings, rounds = self._study.settings, self._study.store.rounds()
        pool = [one for one in self._images() if one.part == "pool"]
        alone: FloatArray = np.array([one.classifier for one in pool if one.classifier is not None])
        minutes = [(one.viewing_s + one.machine_s) / 60 for one in rounds]
        return {
            "auc": [
                {"looks": one.looks, "minutes": at, "auc": one.auc, "low": one.auc_low, "high": one.auc_high}
                for one, at in zip(rounds, minutes, strict=True) if one.auc_low is not None
            ],
            "accuracy": [
                {"looks": one.looks, "minutes": at, "accuracy": one.accuracy, "low": one.accuracy_low,
                 "high": one.accuracy_high}
                for one, at in zip(rounds, minutes, strict=True) if one.accuracy is not None
            ],
            "unsure": [{"looks": one.looks, "share": one.unsure} for one in rounds],
            "confidence": [one.certainty for one in pool if one.certainty is not None],
            "estimated": {"auc": expected_auc(alone)} if len(alone) and not settings.classes else None,
            **self._looks(),
            "classes": self.at_once("classes", self._classes),
            "review": self.at_once("review", self._review),
            "erp": calibration and calibration["erp"],
        }  # fmt: skip

    def findings(self, verdict: str, offset: int, limit: int) -> dict[str, Any]:
        """Give a page of an audit's findings of one verdict; empty for another use.

        What a person has settled comes first. Then, of what is changed, the surest; of the rest, what the classifier
        doubts most; fillers that were seen beside it are left out.

        Raises
        ------
        SettingsError
            If there is no such verdict.
        """
        if verdict not in VERDICTS:
            raise SettingsError(f"expected a verdict of {', '.join(VERDICTS)}, got {verdict!r}")
        every: list[Finding] = self.at_once("findings", self._findings)
        said = self._study.store.corrections()
        doubted = [one for one in every if one.shortlisted or one.verdict == "wrong" or one.id in said]
        worth = VERDICTS[verdict]
        chosen = sorted(
            (one for one in doubted if one.verdict == verdict), key=lambda one: (one.id not in said, -worth(one))
        )
        counts = {name: sum(one.verdict == name for one in doubted) for name in VERDICTS}
        counts |= {"annotations": len(every), "shown": sum(one.looks > 0 for one in doubted), "said": len(said)}
        items = [
            {"id": one.id, "path": one.path, "given": one.given, "certainty": one.certainty, "reason": one.reason,
             "now": one.other if one.verdict == "wrong" else one.given, "looks": one.looks,
             "said": said.get(one.id, (None, None))[1]}
            for one in chosen[offset : offset + limit]
        ]  # fmt: skip
        return {**_page(items, len(chosen)), "counts": counts}

    def piles(self, pile: str, offset: int, limit: int) -> dict[str, Any]:
        """Give a page of one pile of a review: the surest first, and of what is open the least sure.

        Raises
        ------
        SettingsError
            If there is no such pile.
        """
        if pile not in PILES:
            raise SettingsError(f"expected a pile of {', '.join(PILES)}, got {pile!r}")
        found = sorted(self.at_once("piles", self._piles)[pile], key=PILES[pile])
        said = self._study.store.corrections()
        items = [
            {"id": one.id, "path": one.path, "probability": one.posterior, "evidence": one.evidence,
             "correction": said.get(one.id, (None, None))[1]}
            for one in found[offset : offset + limit]
        ]  # fmt: skip
        return _page(items, len(found))

    def _images(self) -> list[ImageResult]:
        images: list[ImageResult] = self.at_once("images", lambda: image_results(self._study))
        return images

    def _looks(self) -> dict[str, Any]:
        """Give the evidence of all usable looks, and, where truth is known, of those at targets and at others."""
        store = self._study.store
        looks, labels = store.looks(), {image.id: image.label for image in store.images()}
        usable = [k for k, reason in enumerate(looks.rejected) if reason is None]
        negated = self._study.settings.use == "audit"
        evidence = {True: list[float](), False: list[float]()}
        for k in usable:
            label = labels[int(looks.image[k])]
            is_target = label is not None and looks.target[k] != f"not {label}" if negated else label == looks.target[k]
            evidence[is_target].append(float(looks.evidence[k]))
        known = evidence[True] and evidence[False]
        return {
            "evidence": [float(looks.evidence[k]) for k in usable],
            "scores": {"target": evidence[True], "other": evidence[False]} if known else None,
        }

    def _classes(self) -> dict[str, Any] | None:
        from brainloop.uses.training import class_measures

        if not self._study.settings.classes or self._study.settings.use != "train" or not self._study.store.rounds():
            return None
        if (found := class_measures(self._study)) is None:
            return None
        return {
            "names": list(found.classes), "confusion": found.confusion.tolist(), "auc": found.auc.tolist(),
            "accuracy": found.accuracy, "n": int(found.confusion.sum()), "asked": found.asked.tolist(),
        }  # fmt: skip

    def _findings(self) -> "list[Finding]":
        if self._study.settings.use != "audit" or not self._is_embedded():
            return []
        from brainloop.uses.audit_findings import findings

        return findings(self._study)

    def _piles(self) -> "dict[str, list[Sorted]]":
        found: dict[str, list[Sorted]] = {name: [] for name in PILES}
        if self._study.settings.use != "review" or not self._is_embedded():
            return found
        from brainloop.uses.review import piles

        for one in piles(self._study):
            of = "target" if one.label == self._study.settings.target else "other"
            found["open" if one.sorted_by == "open" else of].append(one)
        return found

    def _review(self) -> dict[str, Any] | None:
        if self._study.settings.use != "review" or not self._is_embedded():
            return None
        from brainloop.uses.review import review_counts

        found = self.at_once("piles", self._piles)
        counts = review_counts(self._study, [one for pile in found.values() for one in pile])
        return {**vars(counts), "piles": {name: len(pile) for name, pile in found.items()}}

    def at_once(self, name: str, make: Callable[[], Any]) -> Any:
        """Give what `make` makes of the study, made again only if the study has changed."""
        store = self._study.store
        corrections = tuple(store.corrections().items())
        version = (len(store.rounds()), store.looks().image.size, corrections, self._is_embedded())
        if name not in self._kept or self._kept[name][0] != version:
            self._kept[name] = version, make()
        return self._kept[name][1]


def _page(items: list[dict[str, Any]], total: int) -> dict[str, Any]:
    return {"total": total, "items": items}


def _item(one: ImageResult) -> dict[str, Any]:
    return {
        "id": one.id, "path": one.path, "probability": one.probability, "evidence": one.evidence, "name": one.name,
        "correction": one.correction, "said": one.said,
    }  # fmt: skip


def _by_probability(one: ImageResult) -> tuple[Any, ...]:
    return -1 if one.probability is None else -one.probability, one.path


def _by_doubt(one: ImageResult) -> tuple[Any, ...]:
    return 1 if one.certainty is None else one.certainty, one.path


ORDERS: dict[str, Callable[[ImageResult], tuple[Any, ...]]] = {
    "probability": _by_probability,
    "unsure": _by_doubt,
    "evidence": lambda one: (-one.evidence, one.path),
    "path": lambda one: (one.path,),
}

VERDICTS: dict[str, "Callable[[Finding], float]"] = {
    "wrong": lambda one: one.certainty,
    "right": lambda one: one.log_odds,
    "open": lambda one: one.log_odds,
}

PILES: dict[str, "Callable[[Sorted], tuple[Any, ...]]"] = {
    "target": lambda one: (-one.posterior, one.path),
    "open": lambda one: (abs(one.posterior - 0.5), one.path),
    "other": lambda one: (one.posterior, one.path),
}
