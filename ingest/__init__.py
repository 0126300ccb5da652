"""Device bytes -> SampleChunk -> topic ecg.chunks."""
