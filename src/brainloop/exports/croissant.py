"""Croissant: images, and what is known of each, described so that any loader of MLCommons' format reads them."""

import hashlib
import json
import mimetypes
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from brainloop._types import Progress
from brainloop.exports.folders import place, unused
from brainloop.exports.labels import COLUMNS, row, table
from brainloop.exports.results import ImageResult
from brainloop.study import Study

__all__ = ["write_croissant"]

# The context that the format's version 1.0 prescribes, word for word: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html
CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip

WORDS = ("path", "label", "correction", "part", "folder", "file_name")
"""Columns of text; `looks` are whole numbers, and the others numbers."""


def write_croissant(study: Study, results: Sequence[ImageResult], folder: Path, progress: Progress) -> None:
    """Write ``images/``, ``labels.csv`` and the ``croissant.json`` that describes them.

    The record set ``images`` has a record an image: the columns of the table, and the image itself.

    References
    ----------
    Akhtar et al. (2024), "Croissant: a metadata format for ML-ready datasets", NeurIPS 37.
    """
    placed = place(study, results, folder / "images", by_class=False, progress=progress)
    rows = [{"file_name": one.file_name} | row(one.result) for one in placed]
    content = table(rows).encode()
    (folder / "labels.csv").write_bytes(content)
    taken: set[str] = set()
    fields = [_field(name, unused(_UNKNOWN.sub("_", name), taken)) for name in rows[0]]
    fields[0]["references"] = {"fileSet": {"@id": "image-files"}, "extract": {"fileProperty": "filename"}}
    image = {
        "@type": "cr:Field", "@id": "images/image", "name": "image", "description": "The image",
        "dataType": "sc:ImageObject",
        "source": {"fileSet": {"@id": "image-files"}, "extract": {"fileProperty": "content"}},
    }  # fmt: skip
    # Sorted, JPEG and PNG lie before what mlcroissant does not decode; it reads all by the first that it knows.
    formats = sorted({mimetypes.guess_type(one.file_name)[0] or "image/jpeg" for one in placed})
    said: dict[str, Any] = {
        "@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": study.folder.resolve().name, "description": _description(study), "version": "1.0.0",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "distribution": [
            {
                "@type": "cr:FileObject", "@id": "labels.csv", "name": "labels.csv", "contentUrl": "labels.csv",
                "encodingFormat": "text/csv", "sha256": hashlib.sha256(content).hexdigest(),
            },
            {
                "@type": "cr:FileSet", "@id": "image-files", "name": "image-files", "encodingFormat": formats,
                "includes": "images/*",
            },
        ],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "images", "name": "images", "field": [*fields, image]}],
    }  # fmt: skip
    (folder / "croissant.json").write_text(json.dumps(said, indent=1, ensure_ascii=False), encoding="utf-8")


_UNKNOWN = re.compile(r"[^\w.-]", re.ASCII)
"""What must not be in an `@id`, as class names are parts of columns' names."""


def _field(name: str, key: str) -> dict[str, Any]:
    """Describe a column of the table."""
    kind = "sc:Text" if name in WORDS else "sc:Integer" if name == "looks" else "sc:Float"
    what = COLUMNS.get(name) or COLUMNS.get(name.partition("_")[0], "")
    return {
        "@type": "cr:Field", "@id": f"images/{key}", "name": key, "description": what, "dataType": kind,
        "source": {"fileObject": {"@id": "labels.csv"}, "extract": {"column": name}},
    }  # fmt: skip


def _description(study: Study) -> str:
    return f"Images labelled with {', '.join(study.settings.names)} by a classifier and a person's glances (brainloop)"
