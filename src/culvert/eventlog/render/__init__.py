"""Renderings of the event log: an entry in, text out."""
