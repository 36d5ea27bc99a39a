"""The tree of errors; each class's docstring is the remedy.

    BrainloopError
    ├── SettingsError        a setting or an argument is out of its range
    ├── MissingExtraError    an optional package is not installed
    ├── ImageError           one image cannot be used; the rest go on
    ├── AnnotationError      nothing can be made of a file of annotations
    ├── BackboneError        a backbone cannot be loaded or does not fit
    ├── RecordingError       a recording cannot be used
    ├── DecoderError         a decoder cannot be trained or does not fit
    └── StudyError           a study's folder is not as it should be
        ├── StoppedError     the person who looks has stopped
        ├── LeaseError       an image is being looked at by another station
        └── UnreachableError the store cannot be reached

A message reads: what was expected, what came, where, what to do next.
"""

__all__ = [
    "AnnotationError",
    "BackboneError",
    "BrainloopError",
    "DecoderError",
    "ImageError",
    "LeaseError",
    "MissingExtraError",
    "RecordingError",
    "SettingsError",
    "StoppedError",
    "StudyError",
    "UnreachableError",
]


class BrainloopError(Exception):
    """Catch this to catch every error that brainloop raises on purpose."""


class SettingsError(BrainloopError, ValueError):
    """Change the named setting or argument to a value within the range that the message gives."""


class MissingExtraError(BrainloopError, ImportError):
    """Install the extra that the message names, for example ``pip install -e '.[hub]'``."""

    def __init__(self, package: str, extra: str, purpose: str, cause: BaseException | None = None) -> None:
        because = f" ({cause})" if cause is not None and not isinstance(cause, ModuleNotFoundError) else ""
        super().__init__(
            f"{purpose} needs the package '{package}', which does not import here{because}; "
            f"install it, in the clone, with: pip install -c constraints.txt -e '.[{extra}]'"
        )


class ImageError(BrainloopError):
    """Replace or remove the image; a pool lists it with this reason and goes on without it."""


class AnnotationError(BrainloopError):
    """Give class folders, or a CSV, JSON or Parquet file with a column of images and one of classes."""


class BackboneError(BrainloopError):
    """Point to an ONNX file, or to a folder with one and its ``preprocessor_config.json``."""


class RecordingError(BrainloopError):
    """Give a recording that MNE reads, with events for targets and for non-targets."""


class DecoderError(BrainloopError):
    """Give the decoder enough clean trials of both classes, cut as those it was trained on."""


class StudyError(BrainloopError):
    """Open a study that ``brainloop new`` made, with the settings and images it was made with."""


class StoppedError(StudyError):
    """Go on whenever you like: what was answered before the person stopped is kept."""


class LeaseError(StudyError):
    """Plan other images, or ask for an overlap; `images` holds the ids of those that another station looks at."""

    def __init__(self, message: str, images: tuple[int, ...]) -> None:
        super().__init__(message)
        self.images = images


class UnreachableError(StudyError):
    """Start the database's server, or see to the network, and go on: what was answered before is kept."""
