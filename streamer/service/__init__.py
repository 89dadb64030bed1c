"""Settings, wiring, start, drain, stop."""
