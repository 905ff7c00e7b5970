"""Explains foreign VPN logs: what happened, why, and what to change (`explain`)."""

from culvert.explain.engine import explain
from culvert.explain.explanation import Explanation

__all__ = ["Explanation", "explain"]
