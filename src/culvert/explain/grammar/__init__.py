"""How the lines of each log family look and what they say (tables/explain/*.toml)."""
