"""The table of topics and the tree of errors: small tables that much rests on."""

import inspect

import pytest

from leadwire import errors
from leadwire.errors import BugError, LeadwireError, RejectError, RetryError, SettingError
from leadwire.topics import ALERTS, CHUNKS, STATE, STREAMS, TOPICS

BRANCHES = (RetryError, RejectError, SettingError, BugError)


@pytest.mark.parametrize("topic", TOPICS.values(), ids=TOPICS)
def test_a_topic_is_kept_for_some_time_or_compacted(topic):
    assert topic.compacted == (topic.retention_s is None)
    assert topic.partitions >= 1
    assert 0 < topic.max_bytes <= 1 << 20


def test_a_stage_finds_its_states_in_the_partition_of_its_chunks():
    assert STATE.partitions == CHUNKS.partitions
    assert STATE.key == CHUNKS.key == "stream"
    assert STATE.compacted


def test_alerts_have_one_order():
    assert ALERTS.partitions == 1


def test_the_last_word_on_each_stream_is_kept():
    assert STREAMS.compacted


def test_every_error_tells_its_catcher_what_to_do():
    for name, error in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(error, LeadwireError), name
        assert error is LeadwireError or sum(issubclass(error, branch) for branch in BRANCHES) == 1, name


def test_the_tree_drawn_at_the_top_names_every_error():
    tree = (errors.__doc__ or "").split("\n\n")
    for name, _ in inspect.getmembers(errors, inspect.isclass):
        assert any(name in part.split() or f"{name} " in part for part in tree), name
