"""Explains foreign VPN logs: what happened, why, and what to change (`explain`); the logs of both
ends together (`explain_ends`)."""

from culvert.explain.ends import explain_ends
from culvert.explain.engine import explain
from culvert.explain.explanation import Explanation

__all__ = ["Explanation", "explain", "explain_ends"]
