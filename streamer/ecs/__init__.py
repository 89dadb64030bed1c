"""Alert → document: ECS names, Elasticsearch templates, JSON Schema, and the incident as a person reads it."""

from streamer.ecs.document import DocumentContext, Documents, alert_document, notice_document

__all__ = ["DocumentContext", "Documents", "alert_document", "notice_document"]
