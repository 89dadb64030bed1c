"""Alert → document."""
