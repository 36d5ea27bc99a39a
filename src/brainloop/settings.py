"""A study's settings: one value, written beside what it made; each with its reason."""

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from brainloop._files import write_whole
from brainloop.errors import SettingsError

__all__ = ["CHANGEABLE", "HERE", "Settings"]


def _setting(reason: str, default: Any = ...) -> Any:
    return field(metadata={"reason": reason}) if default is ... else field(default=default, metadata={"reason": reason})


@dataclass(frozen=True)
class Settings:
    """Everything that a study is made of; the reason of each field is written into the study's ``study.toml``.

    Raises
    ------
    SettingsError
        If a value is not of its type or out of its range.
    """

    images: str = _setting("folder of the pool's images")
    target: str = _setting(
        "what is looked for, if it is one thing; a class folder of this name is the truth, told only to system 'truth'",
        "",
    )
    classes: tuple[str, ...] = _setting("what is to be told apart, if several are looked for in turn", ())
    use: Literal["train", "audit", "review"] = _setting(
        "what looks are for: to train a classifier, to find wrong annotations among `classes`, to review what a "
        "classifier is not sure of",
        "train",
    )
    annotations: str | None = _setting("file or folder of annotations; the class folders, if left out", None)
    model: str | None = _setting("folder of the study whose classifier sorts, in a review", None)
    target_rate: float | None = _setting("share of targets among the images of a review, where it is known", None)
    looks_per_image: int = _setting("at most, in an audit or a review; what is unsure then goes by its sign", 4)
    backbone: str = _setting("'builtin', an ONNX file or folder, a hub repository, or 'timm:NAME'", "builtin")
    backbone_output: str | None = _setting("output of the backbone; its features where left out", None)
    precision: Literal["float32", "float16"] = _setting("of embeddings on disk; float16 halves them", "float32")
    observer: Literal["replay", "simulated", "live", "own"] | None = _setting(
        "who answers the blocks; 'live' is a person at the studio's screen, 'own' is handed to `run` in Python; replay "
        "where there are recordings, if left out",
        None,
    )
    recordings: tuple[str, ...] = _setting("files or folders of recordings to replay", ())
    target_event: str = _setting("the recordings' event at a target", "target")
    nontarget_event: str = _setting("the recordings' event at a non-target", "nontarget")
    difficulty: float = _setting("0..1: how far hard images evoke weaker responses, in replay and simulation", 0.0)
    decoder: Literal["ensemble", "lda", "xdawn_lda", "xdawn_ts"] = _setting("from epoch to score", "ensemble")
    calibration: Literal["platt", "isotonic", "beta"] = _setting("from score to evidence", "platt")
    system: Literal["brainloop", "talk", "hard", "truth"] = _setting(
        "how the classifier learns and asks; 'talk' is the talk's way, 'hard' that without soft labels, 'truth' the "
        "ceiling: told by class folders",
        "brainloop",
    )
    label_threshold: float = _setting("the talk's THR on its score; .5: the response says nothing", 0.5)
    confidence_threshold: float = _setting("the talk's THR on confidence: below it an image is asked about", 0.9)
    shortlist: float = _setting("in an audit: share of each class's annotations that is looked at", 0.2)
    looks_per_round: int = _setting("presentations between two trainings", 50)
    max_looks: int = _setting("stop here though not converged; the talk's run has 795", 1000)
    block_size: int = _setting("presentations without a pause; 50 at 5 Hz are 10 s, as long as one looks with ease", 50)
    pause: float = _setting("rest between two blocks, s", 5.0)
    soa: float | None = _setting(
        "onset to onset, s; the recordings' own, or .2 where nothing is replayed, if left out", None
    )
    compose: bool | None = _setting(
        "put queried images among fillers; on unless a recording is replayed, where left out", None
    )
    test_share: float = _setting("share of the images never shown, to measure AUC on where truth is known", 0.25)
    prevalence: float | None = _setting("thin one class out until targets have this share, by truth", None)
    store: str | None = _setting(
        "URL of the PostgreSQL database that stations share; a file in the study's folder, if left out", None
    )
    overlap: bool = _setting("whether several stations may look at the same image at once", False)
    collection: str | None = _setting("URL of the collection that the pool is drawn from, of more than fits", None)
    working: int = _setting("images drawn from a collection at a time, beside those that were looked at", 20_000)
    seed: int = _setting("one seed, one result", 0)

    def __post_init__(self) -> None:
        for name, wanted in get_type_hints(type(self)).items():
            object.__setattr__(self, name, _conform(name, getattr(self, name), wanted))
        ranges = {
            "difficulty": (0, 1),
            "label_threshold": (0, 1),
            "confidence_threshold": (0.5, 1),
            "shortlist": (0, 1),
            "target_rate": (1e-3, 0.999),
            "looks_per_image": (1, 1000),
            "looks_per_round": (1, 1e6),
            "max_looks": (1, 1e9),
            "block_size": (1, 1e4),
            "pause": (0, 3600),
            "soa": (0.02, 60),
            "working": (100, 200_000),
            "test_share": (0, 0.9),
            "prevalence": (1e-3, 0.999),
            "seed": (0, 2**63 - 1),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SettingsError(f"{name}: expected {low:g} to {high:g}; {value!r} came")
        self._check_names()
        if self.observer is None:
            object.__setattr__(self, "observer", "replay" if self.recordings else "simulated")
        if (self.observer == "replay") != bool(self.recordings):
            raise SettingsError(
                f"observer: 'replay' goes with recordings, and recordings with it; {self.observer!r} came with "
                f"{len(self.recordings)} recordings"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The one target, or the classes."""
        return self.classes or (self.target,)

    @property
    def sought(self) -> tuple[str, ...]:
        """What blocks may look for: the names; in an audit, what is annotated as one of them and is not."""
        return tuple(f"not {name}" for name in self.names) if self.use == "audit" else self.names

    def _check_names(self) -> None:
        if bool(self.target.strip()) == bool(self.classes):
            raise SettingsError(
                f"expected either a target, the one thing that is looked for, or the classes to be told apart; target "
                f"{self.target!r} and classes {', '.join(self.classes) or 'none'} came"
            )
        if len(set(self.classes)) < len(self.classes) or not all(name.strip() for name in self.names):
            raise SettingsError(f"classes: expected names that differ; {', '.join(map(repr, self.classes))} came")
        if self.use == "train" and len(self.classes) == 1:
            raise SettingsError(
                f"classes: expected two or more to tell apart; {self.classes[0]!r} alone came: give it as the target"
            )
        if self.use == "audit" and not self.classes:
            raise SettingsError("an audit expects the classes whose annotations it doubts; give one or more")
        if (self.use == "review") != (self.model is not None) or (self.use == "review" and not self.target):
            raise SettingsError("a review expects a target and the model that sorts; no other use takes a model")
        if self.classes and (self.prevalence is not None):
            raise SettingsError("prevalence: classes are not thinned out; leave it out, or look for one target")

    def with_whole_paths(self) -> "Settings":
        """Resolve paths, so that a study goes on from whatever folder it is started in."""
        return replace(
            self,
            images=self.images if "://" in self.images else str(Path(self.images).resolve()),
            recordings=tuple(str(Path(path).resolve()) for path in self.recordings),
            backbone=str(Path(self.backbone).resolve()) if Path(self.backbone).exists() else self.backbone,
            annotations=self.annotations and str(Path(self.annotations).resolve()),
            model=self.model and str(Path(self.model).resolve()),
            collection=self.collection
            and (self.collection if "://" in self.collection else str(Path(self.collection).resolve())),
        )

    def as_json(self) -> dict[str, Any]:
        """Give every setting by its name, ready for JSON."""
        values = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def save(self, path: Path) -> None:
        """Write the settings as TOML, each with its reason; whole or not at all."""
        import tomli_w

        lines = []
        for setting in fields(self):
            lines.append(f"# {setting.metadata['reason']}")
            value = getattr(self, setting.name)
            entry = {setting.name: list(value) if isinstance(value, tuple) else value}
            # TOML has no null: what is left out stands as a comment, so that a reader sees that it could be set.
            lines.append(f"# {setting.name} =\n" if value is None else tomli_w.dumps(entry))
        write_whole(path, "\n".join(lines).encode())

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Read what `save` wrote, or what a person made of it."""
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"expected TOML in {path}: {error}") from error
        known = {setting.name for setting in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise SettingsError(
                f"{path} has unknown settings {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        if "images" not in values:
            raise SettingsError(f"{path} lacks images")
        return cls(**values)


CHANGEABLE = frozenset({"max_looks"})
"""Settings that may change in ``study.toml`` while a study goes on; the others made what is already there."""

HERE = frozenset({"images", "recordings", "backbone", "store", "annotations", "model", "collection"})
"""Settings that say where something lies: of a study that stations share, each has its own in ``study.toml``."""


def _conform(name: str, value: Any, wanted: Any) -> Any:
    if get_origin(wanted) in (Union, UnionType):
        if value is None:
            return None
        wanted = next(kind for kind in get_args(wanted) if kind is not type(None))
    if get_origin(wanted) is Literal:
        if value in get_args(wanted):
            return value
        raise SettingsError(f"{name}: expected one of {', '.join(map(repr, get_args(wanted)))}; {value!r} came")
    if get_origin(wanted) is tuple:
        if isinstance(value, list | tuple) and all(isinstance(entry, str | Path) for entry in value):
            return tuple(str(entry) for entry in value)
        raise SettingsError(f"{name}: expected a list of texts; {value!r} came")
    if wanted is str and isinstance(value, Path):
        return str(value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) is not (wanted is bool) or not isinstance(value, wanted):
        raise SettingsError(f"{name}: expected {wanted.__name__}; {value!r} came")
    return value
