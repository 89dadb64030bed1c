"""The only door to Kafka."""
