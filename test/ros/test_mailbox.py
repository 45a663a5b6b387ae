"""The mailbox: one item per topic, taken in turns by weight."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from s4token_ros.mailbox import Mailbox


class Item(NamedTuple):
    topic: str
    number: int = 0


def test_the_newest_item_of_each_topic_is_kept():
    box = Mailbox()
    assert not box.put(Item("a", 1)) and not box.put(Item("b", 2)) and box.put(Item("a", 3))
    box.put_back(Item("a", 0))  # a newer one has arrived
    assert box.take_newest() == Item("a", 3) and box.take() == Item("b", 2)
    assert box.take() is None and box.take_newest() is None and not box.wait(0) and box.wait_empty(0)
    box.put_back(Item("a", 4))
    assert box.wait(0) and box.take() == Item("a", 4)


def test_topics_that_are_not_subscribed_any_more_are_forgotten():
    box = Mailbox({"a": 1, "b": 1})
    box.put(Item("a"))
    box.put(Item("b"))
    box.set_weights({"b": 1})
    assert box.take() == Item("b") and box.take() is None


@settings(deadline=None, max_examples=300)
@given(
    weights=st.lists(st.sampled_from([0.25, 1.0, 2.0, 5.0]), min_size=2, max_size=5),
    events=st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=300),
)
def test_turns_are_fair_whatever_arrives(weights, events):
    """`events`: the arrival of a topic, or None, a turn. Between two turns of a topic that waits, others have few."""
    box = Mailbox({str(k): weight for k, weight in enumerate(weights)})
    waiting: dict[str, Counter] = {}  # topic -> turns of the others since it began to wait
    for event in events:
        if event is None:
            item = box.take()
            assert (item is None) == (not waiting)
            if item is not None:
                del waiting[item.topic]
                for topic, turns in waiting.items():
                    turns[item.topic] += 1
                    allowed = weights[int(item.topic)] / weights[int(topic)] + 1
                    assert turns[item.topic] <= allowed, "a topic that waits is overtaken more often than its weight"
        elif event < len(weights):
            box.put(Item(str(event)))
            waiting.setdefault(str(event), Counter())


@settings(deadline=None, max_examples=100)
@given(weights=st.lists(st.floats(0.1, 10), min_size=2, max_size=5), before=st.integers(0, 50))
def test_topics_that_always_wait_get_turns_by_their_weights(weights, before):
    box = Mailbox({str(k): weight for k, weight in enumerate(weights)})
    for _ in range(before):  # one topic alone: it is not punished later, and the others save up nothing
        box.put(Item("0"))
        box.take()
    counts: Counter[str] = Counter()
    for _ in range(400):
        for k in range(len(weights)):
            box.put(Item(str(k)))
        counts[box.take().topic] += 1
    turns = [counts[str(k)] / weight for k, weight in enumerate(weights)]
    for a, weight_a in zip(turns, weights, strict=True):
        for b, weight_b in zip(turns, weights, strict=True):
            assert abs(a - b) <= 1 / weight_a + 1 / weight_b + 1e-6
