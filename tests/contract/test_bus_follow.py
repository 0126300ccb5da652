"""Following topics beside a group: everything once, on every bus, whatever comes while it begins."""

import threading

from leadwire.bus import Bus, Record
from leadwire.bus.follow import Follower
from tests.contract.buses import new_topic, publish, until


def test_what_is_there_comes_at_once_and_the_rest_as_it_is_published_each_once(bus: Bus) -> None:
    first, second = new_topic(1), new_topic(3)
    bus.create_topics([first, second])
    publish(bus, first, [("k", b"%d" % n) for n in range(700)])
    seen: list[Record] = []
    follower = Follower(bus, (first, second), seen.append)
    assert [r.value for r in seen] == [b"%d" % n for n in range(700)]
    publish(bus, second, [(f"k{n}", b"second") for n in range(20)])
    publish(bus, first, [("k", b"last")])

    def caught_up() -> bool:
        follower.poll()
        return len(seen) >= 721

    until(caught_up)
    follower.poll()
    assert len({(r.topic, r.partition, r.offset) for r in seen}) == len(seen) == 721
    follower.close()


def test_nothing_is_missed_or_doubled_while_it_begins(bus: Bus) -> None:
    topic = new_topic(2)
    bus.create_topics([topic])
    publish(bus, topic, [(f"k{n % 5}", b"%d" % n) for n in range(100)])
    stop, sent = threading.Event(), 100

    def write() -> None:
        nonlocal sent
        producer = bus.producer()
        while not stop.is_set() and sent < 5000:
            producer.publish(topic, f"k{sent % 5}", b"%d" % sent)
            sent += 1
            producer.flush()
        producer.close()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[bytes | None] = []
    follower = Follower(bus, (topic,), lambda record: seen.append(record.value))
    stop.set()
    writer.join()

    def caught_up() -> bool:
        follower.poll()
        return len(seen) >= sent

    until(caught_up)
    assert sorted(map(int, seen)) == list(range(sent))
    follower.close()


def test_any_number_follow_the_same_topic(bus: Bus) -> None:
    topic = new_topic(1, compacted=True)
    bus.create_topics([topic])
    counts = [0, 0, 0]

    def counted(n: int) -> None:
        counts[n] += 1

    followers = [Follower(bus, (topic,), lambda _, n=n: counted(n)) for n in range(3)]
    publish(bus, topic, [("a", b"1")])

    def all_have_it() -> bool:
        for follower in followers:
            follower.poll()
        return counts == [1, 1, 1]

    until(all_have_it)
    for follower in followers:
        follower.close()
