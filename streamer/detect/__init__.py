"""Event → Match."""
