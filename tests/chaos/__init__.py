"""What the service shows under kills, freezes, outages and torn connections: ``python -m tests.chaos``."""
