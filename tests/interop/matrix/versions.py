"""Drafts of NAT traversal that can be asked for alone, and the names of what is then agreed on."""

VERSIONS = {"draft-02": {"natt-02", "natt-02n"}, "draft-03": {"natt-03"}}
