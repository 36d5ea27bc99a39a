import json
from types import SimpleNamespace

import pytest

from brainloop.bench import scale_stations
from brainloop.bench.scale_stations import bench_stations
from brainloop.store import Round


def block(number, images, t):
    return {"block": number, "images": images, "t": t}


def rounds(*points):
    return [Round(k, looks, 0, 0, 0.0, 0.0, 0.0, auc, auc, auc, False) for k, (looks, auc) in enumerate(points, 1)]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([block(1, [5, 6], 0.0), {"over": 1, "t": 2.0}], [block(2, [5], 1.0), {"over": 2, "t": 3.0}], 1),
        ([block(1, [5, 6], 0.0), {"over": 1, "t": 1.0}], [block(2, [5], 1.0), {"over": 2, "t": 3.0}], 0),
        ([block(1, [5, 6], 0.0), {"killed": True, "t": 0.5}], [block(2, [5], 1.0), {"over": 2, "t": 3.0}], 0),
        ([block(1, [5], 0.0), {"over": 1, "t": 1.0}, block(3, [5], 1.5), {"over": 3, "t": 9.0}], [], 0),
    ],
)
def test_a_double_lease_is_one_image_at_two_stations_at_once(left, right, expected):
    assert scale_stations._double_leases([left, right]) == expected


def test_curves_are_compared_where_both_are_known():
    ours, other = rounds((100, 0.7), (300, 0.9)), rounds((200, 0.7), (400, 0.9))
    assert scale_stations._difference(ours, other) == pytest.approx(0.1)
    assert scale_stations._difference(ours, ours) == 0


def test_a_line_that_a_kill_has_cut_is_left_out(tmp_path):
    path = tmp_path / "north.jsonl"
    path.write_bytes(b'{"look": "a"}\n{"look": ')
    scale_stations._write_end(path)
    assert [next(iter(line)) for line in scale_stations._read(path)] == ["look", "killed"]
    assert json.loads(path.read_bytes().splitlines()[-1])["killed"]


def test_people_take_turns_block_by_block():
    people = [
        SimpleNamespace(soa=0.2, facts={"recordings": [k]}, respond=lambda _block, _start, k=k: iter([k]))
        for k in (0, 1)
    ]
    turns = scale_stations._Turns(people)
    assert [next(turns.respond(SimpleNamespace(number=number))) for number in (2, 3, 4)] == [0, 1, 0]
    assert turns.facts["recordings"] == [0, 1]


def test_four_stations_lose_nothing_through_kills_and_a_restart(postgres, monkeypatch):
    monkeypatch.setattr(scale_stations, "DEAD_S", 1.0)  # leases do not run out then; the bench waits until they have
    figures = bench_stations(0.75, seed=0)
    assert (figures["looks_lost"], figures["looks_doubled"], figures["double_leases"]) == (0, 0, 0)
    assert figures["looks"] == 600
    assert set(figures["kills"].values()) == {1}
    assert figures["restarts"] == 1
    assert figures["curve"][-1] == (600, pytest.approx(figures["auc"], abs=1e-5))
