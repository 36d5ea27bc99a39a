"""A study: one folder with one pool, one target and all its rounds.

study.toml       the settings, each with its reason; written last, so that its presence means that the rest is there
store.sqlite     images, blocks, responses, rounds; those of a study that stations share are in PostgreSQL
embeddings/      one vector an image, by content and backbone
models/          the feature map, the head of each round, the observer's mean responses
reports/         what `brainloop report` wrote
people/          of each person who looked live: consent, raw sessions, decoder
recordings/      their sessions as a BIDS data set
exports/         what the studio wrote for others
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Collection as Several
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from brainloop._files import locked
from brainloop._types import BoolArray, FloatArray, IntArray, Progress, no_progress
from brainloop.classifier.features import FeatureMap, load_features
from brainloop.classifier.heads import AnyHead, load_head
from brainloop.classifier.system import SYSTEMS
from brainloop.collection import Collection, draw
from brainloop.eeg.recordings import read_recordings
from brainloop.errors import SettingsError, StudyError
from brainloop.images.backbones import load_backbone
from brainloop.images.embeddings import Embeddings, embed
from brainloop.images.pool import Image, Pool, scan
from brainloop.models import Models
from brainloop.parts import assign_parts, is_known
from brainloop.settings import CHANGEABLE, HERE, Settings
from brainloop.station import at_station
from brainloop.store import PoolImage, Store

__all__ = ["Study", "StudyData", "versions"]


@dataclass(frozen=True)
class StudyData:
    """What the loop computes with.

    Parameters
    ----------
    ids : array of int, shape (n_pool,)
        Image id of each row of the pool.
    pool : array, shape (n_pool, width)
        Embeddings of the pool.
    truth : mapping of str to array of bool, shape (n_pool,), or None
        By what may be looked for, whether each is that, where class folders tell.
    test, test_truth : array (n_test, width), mapping of str to array of bool (n_test,), or None
        The part that is never shown.
    """

    ids: IntArray
    pool: FloatArray
    truth: Mapping[str, BoolArray] | None
    test: FloatArray
    test_truth: Mapping[str, BoolArray] | None

    def index(self, ids: IntArray) -> IntArray:
        """Turn image ids into rows of the pool; StudyError if one is not in it."""
        rows = np.searchsorted(self.ids, ids)
        if (missing := self.ids[rows.clip(max=self.ids.size - 1)] != ids).any():
            raise StudyError(f"image {ids[missing][0]} was planned but is not in the pool any more; put its file back")
        return rows


class Study:
    """A study's folder, opened.

    Use `Study.create` and `Study.open`.

    Parameters
    ----------
    folder : Path
        The study's folder.
    settings : Settings
        Its settings.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self.store = Store(settings.store or folder / "store.sqlite")
        self.models = Models(folder / "models", self.store)
        self._data: StudyData | None = None

    @classmethod
    def create(
        cls,
        folder: Path | str,
        settings: Settings | None = None,
        *,
        progress: Progress = no_progress,
        **values: Any,
    ) -> "Study":
        """Make a study: scan its images, set a test part aside, write it all down.

        Parameters
        ----------
        folder : path
            Where; new, empty, or left by a creation that was cut short.
        settings : Settings, optional
            What it is made of; or give the fields of `Settings` by name.
        progress : Progress
            Called with (files scanned, files).

        Raises
        ------
        StudyError
            If the folder holds a study already, or other things.
        SettingsError
            If a setting is out of range, or truth is needed and the images have no class folder of the target's name.
        ImageError
            If the images' folder is missing or holds no usable image.
        BackboneError, RecordingError
            If the backbone or a recording cannot be used.
        """
        folder = Path(folder)
        if folder.is_file():
            raise StudyError(f"expected a new folder for a study at {folder}, found a file; name another")
        settings = _as_its_collection(_as_its_model((settings or Settings(**values)).with_whole_paths()))
        if (folder / "study.toml").exists():
            raise StudyError(f"{folder} holds a study already; name another folder, or go on: brainloop run {folder}")
        ours = {"study.toml.partial", "embeddings", "models", "lock"}
        names = [entry.name for entry in folder.iterdir()] if folder.exists() else []
        if foreign := sorted(name for name in names if name not in ours and not name.startswith("store.sqlite")):
            raise StudyError(f"expected a new or empty folder at {folder}; it holds {', '.join(foreign[:3])}")
        with locked(folder, f"another process is making a study in {folder}"):
            if (folder / "study.toml").exists():  # another process has made it since
                raise StudyError(
                    f"{folder} holds a study already; name another folder, or go on: brainloop run {folder}"
                )
            for left_over in folder.glob("store.sqlite*"):
                left_over.unlink()
            (folder / "models").mkdir(exist_ok=True)
            if settings.store:  # asked before a scan, which may take hours
                shared = Store(settings.store)
                shared.close()
                if not shared.is_empty:
                    raise StudyError(
                        f"{shared.name} holds a study already; join it (brainloop join {folder} {settings.store}), or "
                        "give another database (createdb NAME)"
                    )
            if settings.collection:
                rows, pool = _draw(settings)
            else:
                pool = scan(Path(settings.images), progress)
            # What `run` will need is opened now, while a mistake still costs nothing.
            backbone = load_backbone(settings.backbone, output=settings.backbone_output)
            if settings.recordings:
                read_recordings(settings.recordings, target=settings.target_event, nontarget=settings.nontarget_event)
            annotations = None
            if settings.annotations:
                from brainloop.annotations import read_annotations

                annotations = read_annotations(Path(settings.annotations), pool, progress=progress)
            images = assign_parts(pool, settings, annotations)
            if settings.collection:  # its rows are the images' ids
                images = [replace(image, id=row) for image, row in zip(images, rows, strict=True)]
            study = cls(folder, settings)
            facts: dict[str, Any] = {"settings": settings.as_json(), "versions": versions()}
            if settings.collection:
                facts["backbone"] = backbone.fingerprint
            skipped = [(skipped.path, skipped.reason) for skipped in pool.skipped]
            if annotations:
                skipped += [(problem.where, problem.reason) for problem in annotations.problems]
                skipped += [(path, "it has no annotation") for path in annotations.unannotated]
            reasons: dict[str, str] = {}
            for path, reason in skipped:
                reasons[path] = f"{reasons[path]}; {reason}" if path in reasons else reason
            study.store.create(images, list(reasons.items()), facts)
            settings.save(folder / "study.toml")
        return study

    @classmethod
    def join(cls, folder: Path | str, store: str, **here: Any) -> "Study":
        """Make a folder for another station of a study that is shared.

        Parameters
        ----------
        folder : path
            Where; new or empty.
        store : str
            URL of the database that holds the study.
        **here
            Settings of `HERE` that differ on this machine, such as the folder of the ``images``.

        Raises
        ------
        StudyError
            If the folder holds something, the database holds no study, or the images are not where they should be.
        """
        folder = Path(folder)
        if folder.is_file() or (folder.exists() and any(folder.iterdir())):
            raise StudyError(f"expected a new or empty folder at {folder}; name another")
        shared = Store(store)
        made = shared.fact("settings") if shared.is_shared and not shared.is_empty else None
        shared.close()
        if made is None:
            raise StudyError(
                f"expected the PostgreSQL database of a study at {store}, and there is no study; make one with: "
                f"brainloop new {folder} IMAGES --target CLASS --store {store}"
            )
        settings = Settings(**made | here | {"store": store}).with_whole_paths()
        if not settings.collection and not Path(settings.images).is_dir():
            raise StudyError(
                f"the study's images are in {settings.images}, and there is no such folder here; say where they are "
                "on this machine with --images"
            )
        load_backbone(settings.backbone, output=settings.backbone_output)
        (folder / "models").mkdir(parents=True)
        settings.save(folder / "study.toml")
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path | str) -> "Study":
        """Open a study.

        Raises
        ------
        StudyError
            If the folder holds none, or a setting was changed that made what is already there.
        """
        folder = Path(folder)
        if not (folder / "study.toml").exists():
            raise StudyError(
                f"expected a study at {folder}, found no study.toml; make one with: "
                f"brainloop new {folder} IMAGES --target CLASS"
            )
        study = cls(folder, Settings.load(folder / "study.toml"))
        made, now = study.store.fact("settings"), study.settings.as_json()
        if made is None:
            raise StudyError(f"{study.store.name} is not this study's store, or is lost; put back a copy of it")
        # A setting that came after the study was made is as it would have been.
        made = Settings(images=study.settings.images, target="any").as_json() | made
        may_differ = CHANGEABLE | (HERE if study.store.is_shared else frozenset())
        changed = [name for name in now if name not in may_differ and made.get(name) != now[name]]
        if changed:
            was = ", ".join(f"{name} = {made.get(name)!r}" for name in changed)
            raise StudyError(
                f"{folder / 'study.toml'}: {', '.join(changed)} cannot change once a study is made; it was {was}. "
                f"Put it back, or make a new study in another folder. What may change: {', '.join(sorted(CHANGEABLE))}"
            )
        study.models.heed_erasures()
        return study

    @contextmanager
    def running(self, station: str = "local", person: str = "") -> Iterator[None]:
        """Hold the study's folder for one process that adds to it; where stations share the study, be one of them.

        Parameters
        ----------
        station : str
            Its name.
        person : str
            Who sits there, where that is known.

        Raises
        ------
        StudyError
            If another process holds the folder, or is that station.
        """
        with locked(self.folder, f"another process is running the study in {self.folder}; wait until it has stopped"):
            if self.store.is_shared:
                self.models.heed_erasures()
                with at_station(self.store, station, person):
                    yield
            elif station != "local":
                raise StudyError(
                    f"expected a study that stations share, and the store of {self.folder} is a file for one; leave "
                    f"out the station {station!r}, or make a study with --store postgresql://HOST/DATABASE"
                )
            else:
                yield

    def at_work(self) -> list[str]:
        """Name the stations at which somebody is looking, where several share the study."""
        return [one.name for one in self.store.stations() if one.alive] if self.store.is_shared else []

    def data(self, progress: Progress = no_progress) -> StudyData:
        """Embed what is not embedded yet, and return what the loop computes with.

        Parameters
        ----------
        progress : Progress
            Called with (images embedded, images).

        Raises
        ------
        StudyError
            If too few images of the pool can be used.
        """
        if self._data is not None:
            return self._data
        images = [image for image in self.store.images() if image.part in ("pool", "test")]
        if self.settings.collection:
            collection = Collection.open(self.settings.collection)
            self._data = self._data_of(images, lambda part: collection.vectors(np.array([one.id for one in part])))
            return self._data
        if not Path(self.settings.images).is_dir():
            raise StudyError(f"the images' folder {self.settings.images} is not there; put it back and try again")
        wanted = [Image(image.hash, image.path, image.label) for image in images]
        vectors = self.embed(wanted, Path(self.settings.images), progress)
        unusable = {skipped.path: skipped.reason for skipped in vectors.failed}
        looked_at = set(self.store.looks().image.tolist())
        if lost := [image.path for image in images if image.path in unusable and image.id in looked_at]:
            raise StudyError(
                f"{len(lost)} images that were looked at cannot be embedded any more, such as {lost[0]} "
                f"({unusable[lost[0]]}); put them back into {self.settings.images} and run the study again"
            )
        images = [image for image in images if image.path not in unusable]
        if sum(image.part == "pool" for image in images) < 2:
            reasons = "; ".join(f"{path}: {reason}" for path, reason in list(unusable.items())[:3])
            raise StudyError(f"expected two usable images or more in the pool, found fewer ({reasons})")
        if unusable:
            self.store.skip(unusable)
        self._data = self._data_of(images, lambda part: vectors.rows(image.hash for image in part))
        return self._data

    def _data_of(self, images: list[PoolImage], vectors: Callable[[list[PoolImage]], FloatArray]) -> StudyData:
        pool = [image for image in images if image.part == "pool"]
        test = [image for image in images if image.part == "test"]
        known = is_known([image.label for image in images], self.settings)
        return StudyData(
            ids=np.array([image.id for image in pool]),
            pool=vectors(pool),
            truth=self._truth(pool) if known else None,
            test=vectors(test),
            test_truth=self._truth(test) if known and test else None,
        )

    def embed(self, images: Sequence[Image], root: Path, progress: Progress = no_progress) -> Embeddings:
        """Embed images of any folder with this study's backbone, through its cache.

        Parameters
        ----------
        images : sequence of Image
            As `brainloop.images.pool.scan` lists them.
        root : Path
            The folder they lie in.
        progress : Progress
            Called with (images embedded, images).
        """
        backbone = load_backbone(self.settings.backbone, output=self.settings.backbone_output)
        first = self.store.fact("backbone")
        if first is None:
            self.store.note("backbone", backbone.fingerprint)
        elif first != backbone.fingerprint:
            raise StudyError(
                f"the backbone {self.settings.backbone} is not the one that this study began with: its weights, its "
                "preprocessing or its output changed. Put it back, or make a new study"
            )
        cache = self.folder / "embeddings"
        return embed(images, root, backbone, cache, dtype=self.settings.precision, progress=progress)

    def grow(self, ready: Several[str], progress: Progress = no_progress) -> int:
        """Add to the pool what is new in the images' folder; give how many images.

        Parameters
        ----------
        ready : collection of str
            Paths of the files that may be added, below the folder; others may still be being written.
        progress : Progress
            Called with (files scanned, files).

        Raises
        ------
        ImageError
            If the folder is missing.
        """
        there = self.store.images()
        known, first = {image.hash for image in there}, there[-1].id + 1
        found = scan(Path(self.settings.images), progress, only=ready)
        new = [image for image in found.images if image.hash not in known]
        self.store.add(
            [
                PoolImage(first + number, image.hash, image.path, image.label, "pool")
                for number, image in enumerate(new)
            ],
            [(skipped.path, skipped.reason) for skipped in found.skipped if skipped.path in ready],
        )
        self._data = None
        return len(new)

    def renew(self, images: Sequence[PoolImage], parts: Mapping[str, Sequence[int]]) -> None:
        """Add images to a pool that is drawn from a collection, and move others, by id, to the part that names them."""
        self.store.add(images)
        for part, ids in parts.items():
            self.store.move(ids, part)
        self._data = None

    def feature_map(self, data: StudyData) -> FeatureMap:
        """Read the feature map of the head; a review takes its model's, others fit theirs on the pool, once."""
        path = self.models.path("features")
        if not self.models.has("features"):
            inherited = self.settings.model and Path(self.settings.model) / "models" / path.name
            fit = SYSTEMS[self.settings.system].fit_features
            (load_features(inherited) if inherited else fit(data.pool, seed=self.settings.seed)).save(path)
            self.models.publish("features")
        return load_features(path)

    def features(self, data: StudyData) -> tuple[FloatArray, FloatArray]:
        """Map the pool's and the test part's embeddings to features, (n_pool, n_features) and (n_test, n_features)."""
        feature_map = self.feature_map(data)
        return feature_map(data.pool), feature_map(data.test)

    def head(self, round_number: int | None = None) -> AnyHead:
        """Read the head of a round, the last by default.

        Raises
        ------
        StudyError
            If no round is over yet.
        """
        rounds = self.store.rounds()
        if not rounds:
            raise StudyError(
                f"expected a trained head in {self.folder}, but no round is over yet: brainloop run {self.folder}"
            )
        name = f"head-{round_number or rounds[-1].number:03d}"
        self.models.has(name)
        return load_head(self.models.path(name))

    def image_path(self, image: PoolImage) -> Path:
        """Where an image's file lies; one from afar is copied into the study's folder when it is first asked for."""
        if self.settings.collection and "://" in self.settings.images:
            return Collection.open(self.settings.collection).fetch(
                Image(image.hash, image.path, image.label), self.folder / "images"
            )
        return Path(self.settings.images) / image.path

    def _truth(self, images: list[PoolImage]) -> dict[str, BoolArray]:
        """Say, for all that may be looked for, whether each image is that."""
        labels = np.array([image.label for image in images], dtype=object)
        is_name = {name: np.asarray(labels == name, dtype=bool) for name in self.settings.names}
        audited = self.settings.use == "audit"
        return {f"not {name}": ~members for name, members in is_name.items()} if audited else is_name


def _as_its_model(settings: Settings) -> Settings:
    """Let a review see images as the classifier that sorts them does, and hear people as that was trained by them."""
    if settings.model is None:
        return settings
    model, trained = Path(settings.model), any((Path(settings.model) / "models").glob("head-*.safetensors"))
    found = Settings.load(model / "study.toml") if trained and (model / "study.toml").exists() else None
    if found is None or found.use != "train" or settings.target not in found.names:
        there = "no trained study" if found is None else f"one of use {found.use!r} for {', '.join(found.names)}"
        raise SettingsError(
            f"model: expected the folder of a trained study that knows {settings.target!r}; {there} is at {model}"
        )
    system = "brainloop" if found.system == "truth" else found.system
    same = ("backbone", "backbone_output", "precision", "decoder", "calibration", "target_event", "nontarget_event")
    return replace(settings, system=system, **{name: getattr(found, name) for name in same})


def _as_its_collection(settings: Settings) -> Settings:
    """Let a study that draws from a collection see images as that does, and where that has them."""
    if settings.collection is None:
        return settings
    about = Collection.open(settings.collection).manifest
    if not about.fingerprint:
        raise SettingsError(
            f"collection: expected one that `brainloop collect` made; {settings.collection} holds vectors made by "
            "others, of images that cannot be shown"
        )
    if load_backbone(about.backbone, output=about.output).fingerprint != about.fingerprint:
        raise SettingsError(
            f"collection: its vectors were made by {about.backbone}, which is not what it was; collect the images anew"
        )
    if settings.use != "train" or settings.annotations:
        raise SettingsError("collection: only a study that trains a classifier draws from one, without annotations")
    if settings.backbone not in (Settings.backbone, about.backbone):
        raise SettingsError(f"backbone: the collection was embedded by {about.backbone}; {settings.backbone} came")
    return replace(settings, images=about.root, backbone=about.backbone, backbone_output=about.output)


def _draw(settings: Settings) -> tuple[list[int], Pool]:
    """Draw the first working part of a collection: rows, rising, and their images."""
    collection = Collection.open(settings.collection or "")
    rows = draw(collection, settings.working, np.random.default_rng([settings.seed, 7]))
    return rows.tolist(), Pool(Path(settings.images), tuple(collection.rows_of(rows)), ())


def versions() -> dict[str, str]:
    """Give the version of brainloop and of what it computes with."""
    packages = ("brainloop", "numpy", "scipy", "scikit-learn", "onnxruntime", "mne", "pyriemann", "torch", "pillow")
    return {package: version(package) for package in packages}
