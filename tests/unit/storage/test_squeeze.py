"""A compressor that fails or lies costs space, and no sample and no beat."""

import numpy as np
import pytest
from pcodec import ChunkConfig

from leadwire.model import Beat
from storage import blocks, event_blocks, squeeze

BEATS = [Beat(stream="s", sample=n * n, detected=n * n + n % 5, amplitude=n / 7) for n in range(1, 60)]


@pytest.fixture(params=["panics", "lies"])
def _broken(request, monkeypatch):
    class PanicException(BaseException):
        """As the one that Rust code raises, which is no Exception."""

    def simple_compress(values, config):
        if request.param == "panics":
            raise PanicException
        return real(values[::-1].copy(), config)

    real = squeeze.standalone.simple_compress
    monkeypatch.setattr(squeeze.standalone, "simple_compress", simple_compress)


@pytest.mark.usefixtures("_broken")
def test_samples_come_back_all_the_same():
    values = np.arange(3000, dtype=np.int16)
    assert np.array_equal(blocks.decode(blocks.encode(values)), values)


@pytest.mark.usefixtures("_broken")
def test_beats_come_back_all_the_same():
    assert event_blocks.unpack(event_blocks.pack(BEATS, 250.0), "s") == BEATS


def test_an_interrupt_is_not_taken_for_a_failing_compressor(monkeypatch):
    def interrupted(values, config):
        raise KeyboardInterrupt

    monkeypatch.setattr(squeeze.standalone, "simple_compress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        squeeze.squeeze(np.arange(30), ChunkConfig())


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.float32, np.float64])
def test_no_length_makes_the_columns_of_events_fall_back(kind):
    rng = np.random.default_rng(0)
    for n in (*range(1, 40), *range(250, 262), *range(508, 530), 1030, 2049):
        values = rng.integers(0, 900, n).astype(kind)
        assert squeeze.squeeze(values, event_blocks._CONFIG) is not None
