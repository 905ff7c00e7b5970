"""Texts, codes and names that the sources print, word for word: one table per kind, and its loader.

Placeholders stand in braces: ``{address}``. Which word comes from which numbered statement stands
in tests/requirements/printed.toml.
"""
