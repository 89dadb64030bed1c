"""bytes → Events."""
