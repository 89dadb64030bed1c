"""Everything for rule authors."""
