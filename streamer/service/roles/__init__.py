"""What a process can be in Kafka mode: detecting, correlating, indexing; each a loop of its own over its own topics."""
