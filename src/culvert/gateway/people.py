"""Joins configuration, store and vault: who may come in, and the table of who is here."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime

from culvert.driver.journal import local_time
from culvert.gateway.config import GatewayConfig
from culvert.identity.account import Accounts
from culvert.identity.chain import Chain
from culvert.identity.lockout import Lockout
from culvert.profile.proposal import AGGRESSIVE_PSK
from culvert.rng import Random
from culvert.session.table import SessionTable
from culvert.store.lifetime import Lifetime
from culvert.vault.accounts import FirstOf, FixedAccounts
from culvert.vault.group_keys import GroupKeys
from culvert.vault.judge import Answer, PasswordJudge
from culvert.vault.password import SCHEMES


def judge(
    config: GatewayConfig,
    stored: Accounts,
    answer: Answer,
    *,
    wall: Callable[[], datetime] = local_time,
) -> PasswordJudge:
    """The judge for this configuration: its own users first, then those of the store."""
    scheme = SCHEMES[config.restart.users_backend]()
    chain = Chain(
        FirstOf((FixedAccounts(config.restart.accounts), stored)),
        Lockout(config.live.lockout),
        decoy_hash=scheme.decoy,
        group_open=lambda group, at: is_open(config, group, at),
    )
    return PasswordJudge(chain, scheme, answer, wall=wall)


def is_open(config: GatewayConfig, name: str, at: datetime) -> bool:
    """Whether the hours of group ``name`` allow a login; a group that is gone allows none."""
    group = config.group(name)
    return group is not None and group.open_at(at)


def session_table(config: GatewayConfig, database: sqlite3.Connection) -> SessionTable:
    """An empty table that goes on counting where the last run stopped."""
    return SessionTable(limit=config.live.session_limit, cumulative=Lifetime(database).load())


def group_keys(config: GatewayConfig, rng: Random) -> GroupKeys:
    """Keys of groups whose switch is on, that of main mode, and those of sites."""
    names = [group.name for group in config.live.groups if AGGRESSIVE_PSK in group.legacy]
    return GroupKeys(
        config.group_keys,
        rng,
        by_name=names,
        main_mode_group=config.restart.main_mode_group,
        by_address={site.peer: site.name for site in config.restart.sites},
    )
