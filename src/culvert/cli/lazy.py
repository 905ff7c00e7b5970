"""A command group whose commands are imported when they are used: `status` waits for no lab."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """``commands_at``: name → (``module:attribute``, one line of help).

    ``unlisted`` ones are only named: help that fits a screen has no line for each.
    """

    def __init__(
        self,
        *arguments: Any,  # click's own signature
        commands_at: Mapping[str, tuple[str, str]],
        unlisted: Collection[str] = (),
        **settings: Any,  # click's own signature
    ) -> None:
        super().__init__(*arguments, **settings)
        self._commands_at = commands_at
        self._unlisted = unlisted

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table: the daily ones first."""
        return list(self._commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._commands_at.get(cmd_name)
        if place is None:
            return None
        module, attribute = place[0].split(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101  # the table is ours
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            listed = [row for row in self._commands_at.items() if row[0] not in self._unlisted]
            formatter.write_dl([(name, line) for name, (_, line) in listed])
            if self._unlisted:
                formatter.write_text(f"More: {' '.join(self._unlisted)}")
