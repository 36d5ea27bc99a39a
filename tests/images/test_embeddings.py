import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from brainloop.errors import BackboneError, ImageError, SettingsError, StudyError
from brainloop.images.backbones import Backbone, load_backbone
from brainloop.images.decode import decode
from brainloop.images.embeddings import Embeddings, embed
from brainloop.images.pool import Pool, scan

MakeOnnx = Callable[..., Path]


@pytest.fixture
def backbone(make_onnx: MakeOnnx, tmp_path: Path) -> Backbone:
    return load_backbone(make_onnx(tmp_path / "backbone" / "model.onnx"))


@pytest.fixture
def pool(photographs: Path) -> Pool:
    return scan(photographs)


def one_by_one(pool: Pool, backbone: Backbone) -> NDArray[np.float32]:
    return np.concatenate(
        [backbone.embed(backbone.prepare(decode(pool.path(image)))[np.newaxis]) for image in pool.images]
    )


def cache_of(folder: Path) -> Path:
    (cache,) = folder.iterdir()
    return cache


def content(folder: Path) -> tuple[bytes, bytes]:
    cache = cache_of(folder)
    return (cache / "keys.txt").read_bytes(), (cache / "vectors.bin").read_bytes()


def test_every_image_gets_its_vector(pool: Pool, backbone: Backbone, tmp_path: Path) -> None:
    embeddings = embed(pool.images, pool.root, backbone, tmp_path / "cache")
    assert embeddings.hashes == pool.hashes
    assert embeddings.matrix.shape == (40, 3)
    assert isinstance(embeddings.matrix, np.memmap)
    assert embeddings.failed == ()
    np.testing.assert_array_equal(embeddings.rows(pool.hashes), one_by_one(pool, backbone))


@pytest.mark.parametrize("batch", [1, 3, 16, 64])
@pytest.mark.parametrize("workers", [1, 4])
def test_batches_and_workers_change_nothing(
    pool: Pool, backbone: Backbone, tmp_path: Path, batch: int, workers: int
) -> None:
    embeddings = embed(pool.images, pool.root, backbone, tmp_path / "cache", batch=batch, workers=workers)
    assert embeddings.hashes == pool.hashes
    np.testing.assert_allclose(embeddings.matrix, one_by_one(pool, backbone), atol=1e-6)


def test_rows_come_in_the_order_asked_for(pool: Pool, backbone: Backbone, tmp_path: Path) -> None:
    embeddings = embed(pool.images, pool.root, backbone, tmp_path / "cache")
    wanted = [7, 0, 7, 39]
    rows = embeddings.rows(pool.hashes[index] for index in wanted)
    np.testing.assert_array_equal(rows, np.asarray(embeddings.matrix)[wanted])
    assert embeddings.rows([]).shape == (0, 3)


def test_a_vector_that_is_not_there_is_an_error(pool: Pool, backbone: Backbone, tmp_path: Path) -> None:
    embeddings = embed(pool.images[:3], pool.root, backbone, tmp_path / "cache")
    assert pool.hashes[0] in embeddings
    assert pool.hashes[5] not in embeddings
    with pytest.raises(ImageError, match=f"no vector of the image with hash '{pool.hashes[5]}'"):
        embeddings.rows([pool.hashes[5]])


def test_what_is_cached_is_not_computed_again(pool: Pool, backbone: Backbone, tmp_path: Path) -> None:
    first = embed(pool.images[:10], pool.root, backbone, tmp_path / "cache")
    calls: list[tuple[int, int]] = []
    second = embed(pool.images, pool.root, backbone, tmp_path / "cache", progress=lambda *call: calls.append(call))
    assert calls[0] == (10, 40)
    assert calls[-1] == (40, 40)
    assert second.hashes[:10] == first.hashes
    before = content(tmp_path / "cache")
    for image in pool.images:  # from here on only the cache can answer
        pool.path(image).unlink()
    third = embed(pool.images, pool.root, backbone, tmp_path / "cache")
    np.testing.assert_array_equal(third.matrix, second.matrix)
    assert content(tmp_path / "cache") == before


def test_each_backbone_and_precision_has_its_own_cache(pool: Pool, backbone: Backbone, tmp_path: Path) -> None:
    other = load_backbone(tmp_path / "backbone", output="logits")
    single = embed(pool.images, pool.root, backbone, tmp_path / "cache")
    double = embed(pool.images, pool.root, other, tmp_path / "cache")
    half = embed(pool.images, pool.root, backbone, tmp_path / "cache", dtype="float16")
    assert len(list((tmp_path / "cache").iterdir())) == 3
    np.testing.assert_allclose(double.matrix, 2 * np.asarray(single.matrix), rtol=1e-6)
    assert half.matrix.dtype == np.float16
    assert half.rows(pool.hashes).dtype == np.float32
    np.testing.assert_allclose(half.rows(pool.hashes), single.rows(pool.hashes), rtol=1e-3)


def test_bad_images_are_listed_with_their_reasons_and_the_rest_goes_on(
    pool: Pool, photographs: Path, backbone: Backbone, tmp_path: Path
) -> None:
    jpeg = photographs / "truncated.jpg"
    PillowImage.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(jpeg)
    jpeg.write_bytes(jpeg.read_bytes()[:-500])
    pool = scan(photographs)  # the header is good: only decoding tells
    assert len(pool) == 41
    vanished, changed, emptied, locked = pool.images[0], pool.images[1], pool.images[2], pool.images[3]
    pool.path(vanished).unlink()
    pool.path(changed).write_bytes(pool.path(pool.images[7]).read_bytes())
    pool.path(emptied).write_bytes(b"")
    pool.path(locked).unlink()
    pool.path(locked).mkdir()
    embeddings = embed(pool.images, pool.root, backbone, tmp_path / "cache")
    reasons = {item.path: item.reason for item in embeddings.failed}
    assert reasons.pop("truncated.jpg").startswith("truncated: ")
    assert reasons == {
        vanished.path: "vanished between scan and read",
        changed.path: "changed between scan and read: scan the folder again",
        emptied.path: "zero bytes",
        locked.path: "unreadable: a folder, pipe or device, not a file",
    }
    assert embeddings.hashes == tuple(image.hash for image in pool.images[4:] if image.path != "truncated.jpg")


def test_vectors_that_are_not_finite_are_failures(make_onnx: MakeOnnx, pool: Pool, tmp_path: Path) -> None:
    # Mean colours times 2e7 fit float32 and are infinite in float16.
    config = {"size": {"height": 8, "width": 8}, "resample": 2, "rescale_factor": 1e7, "do_normalize": False}
    huge = load_backbone(make_onnx(tmp_path / "huge" / "model.onnx", config=config))
    assert embed(pool.images, pool.root, huge, tmp_path / "cache").failed == ()
    embeddings = embed(pool.images, pool.root, huge, tmp_path / "cache", dtype="float16")
    assert embeddings.hashes == ()
    assert {item.reason for item in embeddings.failed} == {"its vector is not finite in float16"}


def test_nothing_to_embed_is_an_empty_matrix(pool: Pool, backbone: Backbone, tmp_path: Path) -> None:
    assert embed([], pool.root, backbone, tmp_path / "cache").matrix.shape == (0, 3)


def test_two_processes_cannot_write_to_one_cache(pool: Pool, backbone: Backbone, tmp_path: Path) -> None:
    def meanwhile(done: int, total: int) -> None:
        with pytest.raises(StudyError, match="another process is embedding into"):
            embed(pool.images, pool.root, backbone, tmp_path / "cache")

    embed(pool.images[:20], pool.root, backbone, tmp_path / "cache", progress=meanwhile)
    assert len(embed(pool.images, pool.root, backbone, tmp_path / "cache").hashes) == 40


@pytest.mark.parametrize("torn_keys", [b"", b"0123", b"\x00" * 33, b"\x00" * 40])
@pytest.mark.parametrize("torn_rows", [0, 5, 12, 31])
def test_a_torn_tail_is_cut_off(
    pool: Pool, backbone: Backbone, tmp_path: Path, torn_keys: bytes, torn_rows: int
) -> None:
    embed(pool.images[:10], pool.root, backbone, tmp_path / "torn")
    with (cache_of(tmp_path / "torn") / "keys.txt").open("ab") as keys:
        keys.write(torn_keys)
    with (cache_of(tmp_path / "torn") / "vectors.bin").open("ab") as vectors:
        vectors.write(b"\x7f" * torn_rows)
    embed(pool.images, pool.root, backbone, tmp_path / "torn")
    embed(pool.images, pool.root, backbone, tmp_path / "whole")
    assert content(tmp_path / "torn") == content(tmp_path / "whole")


def test_keys_without_their_rows_are_cut_off(pool: Pool, backbone: Backbone, tmp_path: Path) -> None:
    embed(pool.images, pool.root, backbone, tmp_path / "cache")
    before = content(tmp_path / "cache")
    vectors = cache_of(tmp_path / "cache") / "vectors.bin"
    vectors.write_bytes(vectors.read_bytes()[:100])  # 8 rows of 12 bytes, and a third of one
    embed(pool.images, pool.root, backbone, tmp_path / "cache")
    assert content(tmp_path / "cache") == before


EMBED = """
import sys
from pathlib import Path
from brainloop.images import embeddings
from brainloop.images.backbones import load_backbone
from brainloop.images.pool import scan
embeddings._COMMIT_S = 0.0
pool = scan(Path(sys.argv[1]))
def progress(done, total):
    sys.stdout.write(f"{done}\\n")
    sys.stdout.flush()
embeddings.embed(pool.images, pool.root, load_backbone("builtin"), Path(sys.argv[2]), progress=progress)
"""


def test_killed_again_and_again_no_row_is_lost_or_doubled(photographs: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for number in range(160):
        pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        PillowImage.fromarray(pixels).save(photographs / f"more-{number:03}.png")
    arguments = [sys.executable, "-c", EMBED, str(photographs), str(tmp_path / "killed")]
    reached = -1
    for _ in range(3):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) > max(reached, 0):
                    reached = int(line)
                    process.kill()
                    break
        assert process.returncode != 0
    kept = content(tmp_path / "killed")[0].splitlines()
    assert 0 < len(kept) < 200
    subprocess.run(arguments, check=True, capture_output=True, timeout=60)
    pool = scan(photographs)
    undisturbed = embed(pool.images, pool.root, load_backbone("builtin"), tmp_path / "undisturbed")
    assert len(undisturbed.hashes) == len(set(undisturbed.hashes)) == 200
    assert content(tmp_path / "killed") == content(tmp_path / "undisturbed")


class _Failing:
    """A backbone that fails on its 20th image."""

    name, fingerprint, width, batch = "failing", "f" * 32, 2, 1

    def __init__(self) -> None:
        self.seen = 0

    def prepare(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return rgb[:8, :8]

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen += len(batch)
        if self.seen == 20:
            raise BackboneError("out of memory")
        return np.ones((len(batch), 2), dtype=np.float32)


def test_a_backbone_that_fails_keeps_what_was_embedded_before(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="out of memory"):
        embed(pool.images, pool.root, _Failing(), tmp_path / "cache", workers=1)
    again = embed(pool.images, pool.root, _Failing(), tmp_path / "cache", workers=1, batch=19)
    assert again.hashes == pool.hashes


@pytest.mark.parametrize("wrong", [{"dtype": "float64"}, {"batch": 0}, {"workers": 0}])
def test_a_setting_out_of_its_range_is_an_error(
    pool: Pool, backbone: Backbone, tmp_path: Path, wrong: dict[str, object]
) -> None:
    with pytest.raises(SettingsError, match="expected"):
        embed(pool.images, pool.root, backbone, tmp_path / "cache", **wrong)  # type: ignore[arg-type]


def test_real_photographs_are_embedded_as_one_by_one(shared: Path, tmp_path: Path) -> None:
    pool = scan(shared / "data" / "images" / "cifar10_32px")
    few = Pool(pool.root, pool.images[::50], ())
    backbone = load_backbone(shared / "backbones" / "mobilenetv2_100")
    embeddings = embed(few.images, few.root, backbone, tmp_path / "cache")
    assert isinstance(embeddings, Embeddings)
    np.testing.assert_array_equal(embeddings.rows(few.hashes), one_by_one(few, backbone))
