"""The audit's gallery: what stands where."""

from brainloop.report.audit import audited_classes
from brainloop.uses.audit_findings import Finding


def finding(number, given, other, verdict, certainty=0.9, *, log_odds=0.0, shortlisted=True):
    return Finding(
        path=f"{number}.png", given=given, other=other, verdict=verdict, certainty=certainty, shortlisted=shortlisted,
        log_odds=log_odds, evidence=0.0, looks=1, reason="", id=number,
    )  # fmt: skip


def test_every_finding_stands_in_the_gallery_of_its_class_and_a_change_in_that_of_its_new_one_too():
    found = [
        finding(1, "a", "b", "wrong", 0.8, log_odds=1.0),
        finding(2, "a", "b", "wrong", 0.95, log_odds=2.0),
        finding(3, "a", "c", "right", log_odds=3.0),
        finding(4, "b", "a", "open"),
        finding(5, "b", "a", "not looked at", shortlisted=False),
        finding(6, "a", "b", "right", shortlisted=False),
    ]
    first, second, last = audited_classes(found, ["c", "b", "a"])
    assert (first.name, second.name, last.name) == ("a", "c", "b")
    assert [one.id for one in first.doubted] == [3, 2, 1]
    assert {name: [one.id for one in of] for name, of in first.changed.items()} == {"b": [2, 1]}
    assert [one.id for one in first.cleared] == [3]
    assert first.annotated == 4
    assert [one.id for one in last.joined] == [2, 1]
    assert [one.id for one in last.still_open] == [4]
    assert (second.annotated, second.changed) == (0, {})
