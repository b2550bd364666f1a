"""The root command: every noun hangs here, and every error ends here as an exit code."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from shared.cli import (
    accounts,
    adapters,
    audit,
    comparisons,
    database,
    datasets,
    doctor,
    hosts,
    jobs,
    knowledge,
    logs,
    models,
    people,
    programs,
    study,
    submit,
    waiting,
)
from shared.cli.failures import FAILURES, end_with
from shared.cli.parts import Group
from shared.language import say


class _Root(Group):
    """Turns what a command returns or raises into an exit code; no traceback for known errors."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        words = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            # `graft logs JOB | head` closed the pipe; Python's own flush at exit must not fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except FAILURES as error:
            sys.exit(end_with(error, "--json" in words))
        sys.exit(code if isinstance(code, int) else 0)


root = _Root(
    "graft",
    help=say(
        "A team's shared pool that trains, fuses and judges LoRA adapters.\n\n"
        "`graft up` starts it on this machine; `graft demo` shows all of it in minutes.\n\n"
        "Exit codes: 0 done, 1 a job failed or a comparison is worse, 2 usage, "
        "3 not reachable, 4 refused, 130 interrupted.",
        "团队共享的资源池：训练、融合并评判 LoRA 适配器。\n\n"
        "`graft up` 在本机启动；`graft demo` 几分钟演示全过程。\n\n"
        "退出码：0 完成，1 任务失败或对比变差，2 用法错误，3 无法连接，4 被拒绝，130 被中断。",
    ),
)
click.version_option(package_name="graft")(root)
for command in (
    programs.up,
    programs.demo,
    programs.worker,
    programs.dashboard,
    submit.submit,
    study.study,
    jobs.jobs,
    jobs.show,
    logs.logs,
    jobs.cancel,
    jobs.retry,
    waiting.why,
    waiting.priority,
    adapters.adapters,
    datasets.datasets,
    datasets.benchmarks,
    models.models,
    knowledge.knowledge,
    comparisons.compare,
    hosts.hosts,
    hosts.top,
    hosts.drain,
    hosts.undrain,
    accounts.used,
    accounts.limit,
    people.accounts,
    people.tokens,
    audit.audit,
    doctor.doctor,
    database.database,
):
    root.add_command(command)
