"""SampleChunk -> beats, quality and rhythm episodes. Pure, but for service.py."""
