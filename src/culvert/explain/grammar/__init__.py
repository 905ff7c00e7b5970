"""How the lines of each log family look and what they say; the families are tables/explain/*.toml."""
