"""What every test run loads: the ledger of proved requirements."""

pytest_plugins = ["requirements.plugin"]
