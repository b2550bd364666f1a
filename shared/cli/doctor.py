"""`graft doctor`: is everything here that a pool needs, and what to do about what is not."""

import click

from shared.cli.checks import all_checks
from shared.cli.output import emit, style
from shared.cli.parts import Command
from shared.language import say

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(cls=Command, help=say("Check this machine and the pool.", "检查本机与资源池。"))
def doctor() -> int:
    checks = all_checks()
    words = {"ok": say("ok", "正常"), "warn": say("warn", "注意"), "fail": say("fail", "失败")}
    lines = []
    for check in checks:
        mark = style(words[check.state].ljust(4), _COLOURS[check.state])
        lines.append(f"{mark}  {check.name}: {check.detail}")
        if check.remedy:
            lines.append(f"      {check.remedy}")
    emit([vars(check) for check in checks], "\n".join(lines))
    return 1 if any(check.state == "fail" for check in checks) else 0
