"""Small studies to report on, each run once for all tests; no test may change one."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainloop.loop import run
from brainloop.presentation.block import Response
from brainloop.report.html import render
from brainloop.study import Study

HOSTILE = '<script>alert("{}")&.png'


VOID = {"meta", "img", "br", "path", "use"}


class Page(HTMLParser):
    """Collects tags and text, and checks that what opens closes."""

    def __init__(self, text):
        super().__init__()
        self.source = text
        self.tags, self.said, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.said.append((self.open[-1] if self.open else "", data))

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(words for _, words in self.said))

    def check_complete(self):
        """Check that the page asks for nothing that is not in it, and runs nothing."""
        policies = [a["content"] for tag, a in self.tags if a.get("http-equiv") == "Content-Security-Policy"]
        assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
        for tag, attributes in self.tags:
            assert tag not in {"script", "link", "iframe", "object", "embed", "base"}
            for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                assert attributes.get(name, "#").startswith(("#", "data:image/"))
            assert not any(name.startswith("on") for name in attributes)
        assert not re.search(r"url\((?!#|data:)", self.source)
        assert not re.search(r"@import|https?:", self.source)
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(ids) == len(set(ids))


class Scripted:
    """An observer that knows the truth, or nothing; `rejected` is its answer to every epoch."""

    soa = 0.25

    def __init__(self, truth=None, rejected=None, facts=None):
        self.truth, self.rejected = truth, rejected
        self.facts = {"observer": "scripted"} if facts is None else facts

    def respond(self, block, start=0):
        noise = np.random.default_rng([7, block.number]).normal(size=len(block.images))
        for k in range(start, len(block.images)):
            L = 0.0 if self.rejected else float(noise[k])
            if self.truth is not None and not self.rejected:
                L += 2.0 if self.truth[block.images[k]] else -2.0
            score = np.nan if self.rejected else L
            yield Response(score, L, self.rejected, float(block.onsets[k]), f"me#{block.number}.{k}", "me", "today")

    def recall(self, blocks):
        pass

    def erps(self):
        return {}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """120 images of 8 x 8 pixels, a fifth of them targets; every name is hostile, one file is empty."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(3)
    for number in range(120):
        label, tint = ("<b>rose", (50, 0, 0)) if number % 5 == 0 else ("sky", (0, 0, 50))
        (folder / label).mkdir(exist_ok=True)
        pixels = rng.integers(40, 200, (8, 8, 3)) + np.array(tint)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / label / HOSTILE.format(number))
    (folder / "sky" / "<script>broken.jpg").write_bytes(b"")
    return folder


@pytest.fixture(scope="session")
def make_study(tmp_path_factory, pictures) -> Callable[..., Study]:
    """Make a study of the pictures, not run yet."""

    def make(**values) -> Study:
        common = {"images": pictures, "target": "<b>rose", "looks_per_round": 40, "max_looks": 80, "block_size": 20}
        return Study.create(tmp_path_factory.mktemp("study") / "s", **(common | values))

    return make


@pytest.fixture(scope="session")
def simulated(make_study) -> Study:
    study = make_study(observer="simulated")
    list(run(study))
    return study


@pytest.fixture(scope="session")
def replayed(make_study, recordings) -> Study:
    """A recording with few epochs, so that those of the targets are soon spent."""
    study = make_study(recordings=(str(recordings),), decoder="lda", max_looks=400, confidence_threshold=0.999)
    list(run(study))
    return study


@pytest.fixture(scope="session")
def one_round(make_study) -> Study:
    study = make_study(observer="own", max_looks=40)
    list(run(study, Scripted(study.data().truth["<b>rose"])))
    return study


@pytest.fixture(scope="session")
def without_truth(make_study) -> Study:
    study = make_study(observer="own", target="tulip")
    list(run(study, Scripted()))
    return study


@pytest.fixture(scope="session")
def all_rejected(make_study) -> Study:
    study = make_study(observer="own", max_looks=40)
    list(run(study, Scripted(rejected="<i>amplitude")))
    return study


@pytest.fixture(scope="session")
def without_test_part(make_study) -> Study:
    study = make_study(observer="own", test_share=0.0, system="talk")
    list(run(study, Scripted(study.data().truth["<b>rose"], facts={"recordings": ["in", "words"], "mood": "<i>good"})))
    return study


@pytest.fixture(scope="session")
def told_truth(make_study) -> Study:
    study = make_study(observer="simulated", system="truth", max_looks=40)
    list(run(study))
    return study


STUDIES = ("simulated", "replayed", "one_round", "without_truth", "all_rejected", "without_test_part", "told_truth")


@pytest.fixture(params=STUDIES)
def every_study(request) -> Study:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def rendered() -> Callable[[Study], str]:
    """Render a study's page, once."""
    pages: dict[Path, str] = {}

    def once(study: Study) -> str:
        if study.folder not in pages:
            pages[study.folder] = render(study)
        return pages[study.folder]

    return once


@pytest.fixture(scope="session")
def parsed() -> type[Page]:
    """Read a page; conftest is no module that a test can import from."""
    return Page
