"""The rule language: files to RuleSet."""
