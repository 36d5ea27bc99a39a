"""Label Studio: a task an image, with what is known of it as a prediction that a person may accept or change."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from brainloop.exports.labels import row
from brainloop.exports.results import ImageResult

__all__ = ["write_label_studio"]

README = """Import into Label Studio
1. Let it serve the images where they lie. Before it is started:
     export LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true
     export LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={images}
2. Make a project; paste config.xml under Settings, Labeling Interface, Code.
3. Add a source storage under Settings, Cloud Storage: Local files, the same folder. It need not be synchronised.
4. Import tasks.json.
Each task holds evidence (nats), looks and certainty as columns, to sort by; the prediction's score is the certainty.
"""


def write_label_studio(
    results: Sequence[ImageResult], folder: Path, *, images: str, classes: Sequence[str], model_version: str
) -> None:
    """Write ``tasks.json``, the ``config.xml`` that fits it, and a ``README.txt``.

    Parameters
    ----------
    results : sequence of ImageResult
        Those without a label become tasks without a prediction.
    folder : Path
        Where.
    images : str
        The folder of images: what Label Studio is to serve files from.
    classes : sequence of str
        The choices.
    model_version : str
        What the predictions are from.

    References
    ----------
    https://labelstud.io/guide/predictions.html, https://labelstud.io/guide/storage.html#Tasks-with-local-storage-file-references
    """
    used = [one for one in results if one.part in ("pool", "test")]
    tasks = [_task(one, model_version) for one in used]
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in classes)
    config = (
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <Choices name="label" toName="image" choice="single">\n{choices}\n  </Choices>\n</View>\n'
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tasks.json").write_text(json.dumps(tasks, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "config.xml").write_text(config, encoding="utf-8")
    (folder / "README.txt").write_text(README.format(images=images), encoding="utf-8")


def _task(one: ImageResult, model_version: str) -> dict[str, Any]:
    task: dict[str, Any] = {"data": {"image": f"/data/local-files/?d={quote(one.path)}", **row(one)}}
    if one.decided is not None:
        result = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [one.decided]}}
        task["predictions"] = [{"model_version": model_version, "score": one.certainty, "result": [result]}]
    return task
