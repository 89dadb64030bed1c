"""The database of one partition: a single writer whose log is the partition of the same number of a compacted topic.

A partition of the detections belongs to whoever took over its ledger last. Taking over shuts out the predecessor, then
reads what the predecessor committed; a step writes its messages, the entries it changed and the next input offset in
one transaction. The consumer group only suggests owners: that nobody writes twice is decided here, by the broker.

START READING AT :mod:`streamer.kafka.ledger.ledger`. The layout of the changelog is in
:mod:`streamer.kafka.ledger.entries`, reading it back in :mod:`streamer.kafka.ledger.restore`, and the producer in
:mod:`streamer.kafka.transactions`.
"""

from streamer.kafka.ledger.ledger import POINTS, KafkaLedger

__all__ = ["POINTS", "KafkaLedger"]
