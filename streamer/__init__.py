"""streamer: Sigma correlation for Kubernetes, exact in event time.

Start reading in :mod:`streamer.engine`; the nouns are in :mod:`streamer.model`.
"""

__version__ = "0.1.0"
