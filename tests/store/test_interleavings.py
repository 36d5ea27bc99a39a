"""Any order of what several stations do to one store leaves no look lost or doubled and no image leased twice."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from brainloop.errors import LeaseError
from brainloop.presentation.block import Block
from brainloop.store import Round, Store

from .conftest import lapse, pool, response, rows

STATIONS = st.sampled_from(["left", "right", "third"])
N_IMAGES = 8


class Interleavings(RuleBasedStateMachine):
    """Several stations, each with a connection of its own, and a model of what must be there."""

    place: str
    """Set by the test: makes an empty place for a store."""

    def __init__(self):
        super().__init__()
        self.where = type(self).place()
        self.stores = {}
        self.open("trainer").create(pool(N_IMAGES), [], {})
        self.shown = {}  # block -> (station, images), as planned
        self.given = {}  # (block, position) -> (image, evidence)
        self.closed = 0
        self.trained = {}  # round -> the evidence that it was begun with

    def open(self, station):
        self.stores[station] = Store(self.where, lease_s=1e6)
        return self.stores[station]

    def store(self, station):
        return self.stores.get(station) or self.open(station)

    @rule(station=STATIONS, how=st.sampled_from(["enter", "renew", "restart"]))
    def come(self, station, how):
        if how == "restart" and station in self.stores:
            self.stores.pop(station).close()
        elif how == "renew":
            self.store(station).renew(station)
        else:
            self.store(station).enter(station, f"person{station}")

    @rule(station=STATIONS, images=st.lists(st.integers(0, N_IMAGES - 1), min_size=1, max_size=3, unique=True),
          overlap=st.booleans())  # fmt: skip
    def plan(self, station, images, overlap):
        store = self.store(station)
        others = set(store.leased(station).tolist())
        block = Block(0, 0, tuple(images), 0.2)
        if not overlap and set(images) & others:
            with pytest.raises(LeaseError) as refused:
                store.plan([block], station)
            assert set(refused.value.images) == set(images) & others
        else:
            store.plan([block], station, overlap=overlap)
            self.shown[store.blocks_of(station)[-1][0].number] = (station, tuple(images))

    @precondition(lambda self: self.shown)
    @rule(data=st.data())
    def answer(self, data):
        """The next presentation of any block ever planned: by a station that is there, or one that comes back late."""
        block = data.draw(st.sampled_from(sorted(self.shown)))
        station, images = self.shown[block]
        position = sum(key[0] == block for key in self.given)
        if position < len(images):
            evidence = block + position / 8
            shown = replace(response(evidence, person=f"person{station}"), source=f"block {block}")
            for _ in range(data.draw(st.integers(1, 2))):  # an acknowledgement may be lost
                self.store(station).answer(block, position, shown, station)
            self.given[block, position] = (images[position], evidence)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def answer_once_more(self, data):
        block, position = data.draw(st.sampled_from(sorted(self.given)))
        station = self.shown[block][0]
        again = replace(response(block + position / 8, person=f"person{station}"), source=f"block {block}")
        self.store(station).answer(block, position, again, station)

    @rule(station=STATIONS, how=st.sampled_from(["lapse", "leave"]))
    def go(self, station, how):
        if how == "lapse":
            lapse(self.stores["trainer"], station)
        else:
            self.store(station).leave(station)

    @rule()
    def begin(self):
        store = self.stores["trainer"]
        with store.training() as ours:
            assert ours
            if store.waiting():
                number = store.open_round()
                complete = [block for block, answered in store.blocks(number) if answered == len(block.images)]
                assert sum(len(block.images) for block in complete) == store.waiting()
                assert store.begin_round() == number
                assert store.waiting() == 0
                self.trained[number] = self.evidence_of(number)

    @rule()
    def close(self):
        store = self.stores["trainer"]
        for number in store.begun()[:1]:
            store.close_round(Round(number, 0, 0, 0, 0.0, 0.0, 0.0, None, None, None, False))
            self.closed += 1

    def evidence_of(self, number):
        looks = self.stores["trainer"].looks()
        return sorted(looks.evidence[looks.round == number].tolist())

    @invariant()
    def what_a_round_was_begun_with_stays(self):
        assert {number: self.evidence_of(number) for number in self.trained} == self.trained

    @invariant()
    def no_look_is_lost_or_doubled(self):
        looks = self.stores["trainer"].looks()
        stored = sorted(zip(looks.image.tolist(), looks.evidence.tolist(), strict=True))
        assert stored == sorted(self.given.values())

    @invariant()
    def every_look_is_in_one_block_and_a_round_that_is_begun_holds_only_what_is_answered(self):
        store = self.stores["trainer"]
        blocks = store.blocks()
        assert sum(answered for _, answered in blocks) == len(self.given)
        open_round = store.open_round()
        for block, answered in blocks:
            assert 1 <= block.round <= open_round
            assert block.round == open_round or answered == len(block.images)

    @invariant()
    def rounds_are_contiguous(self):
        store = self.stores["trainer"]
        over, begun = [one.number for one in store.rounds()], store.begun()
        assert over == list(range(1, self.closed + 1))
        assert over + begun == list(range(1, store.open_round()))

    @invariant()
    def leases_are_of_images_that_are_about_to_be_shown_and_nobody_shares_one_unasked(self):
        found = rows(
            self.stores["trainer"],
            "select lease.image, lease.holder, block.station, block.released from lease "
            "join block on block.number = lease.block",
        )
        assert not any(released for *_, released in found)
        assert len({(image, holder) for image, holder, *_ in found}) == len(found)
        assert all(holder in ("", station) for _, holder, station, _ in found)
        waiting = {
            (station, image)
            for number, (station, images) in self.shown.items()
            for position, image in enumerate(images)
            if any((number, later) not in self.given for later in range(len(images)))
        }
        assert {(station, image) for image, _, station, _ in found} <= waiting

    def teardown(self):
        for store in self.stores.values():
            store.close()


@pytest.mark.parametrize("examples", [40])
def test_any_interleaving_of_stations_keeps_every_look_once(new_place, examples):
    machine = type("Machine", (Interleavings,), {"place": staticmethod(new_place)})
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None,
                                   suppress_health_check=checks)
    )  # fmt: skip
