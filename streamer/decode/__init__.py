"""Bytes → Events: envelopes opened, lines joined, audit events and access lines read, everything hostile survived."""

from streamer.decode.decoder import Decoder
from streamer.decode.gathering import Decoded
from streamer.decode.kind import guess_kind
from streamer.decode.source import DecodeLimits, Source

__all__ = ["DecodeLimits", "Decoded", "Decoder", "Source", "guess_kind"]
