"""The only door to Elasticsearch."""
