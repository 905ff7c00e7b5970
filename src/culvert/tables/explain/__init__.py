"""Log families, facts, rules and words of the explainer; docs/guides/teach-a-family.md."""
