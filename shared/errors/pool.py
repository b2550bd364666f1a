"""Errors of a pool that is not there."""

from shared.errors.base import GraftError, UserError


class NotReachable(GraftError):
    """{what} cannot be reached at {where}: {problem}."""

    zh = "无法连接 {what}（{where}）：{problem}。"
    exit_code = 3


class SchemaOutdated(GraftError):
    """The database at {where} is at revision {found}, this Graft needs {wanted}. Run
    `graft db upgrade`."""

    zh = "数据库 {where} 的版本为 {found}，本 Graft 需要 {wanted}。请运行 `graft db upgrade`。"
    exit_code = 3


class PoolRunning(UserError):
    """The pool of {home} is already running (process {pid}, dashboard: {dashboard}). Use it, or
    end it with Ctrl-C where it runs."""

    zh = "{home} 的资源池已在运行（进程 {pid}，控制台：{dashboard}）。请直接使用，或在其运行处按 Ctrl-C 结束。"


class NoWorker(UserError):
    """No worker of {host} runs here, with the data folder {home}. Start one with `graft worker`, or
    set GRAFT_HOME and GRAFT_HOST_NAME as the worker has them."""

    zh = "此处没有 {host} 的工作进程在运行（数据目录：{home}）。请用 `graft worker` 启动，或按工作进程的设置指定 GRAFT_HOME 与 GRAFT_HOST_NAME。"


class StartFailed(NotReachable):
    """The {what} did not start: {problem}. Its log is {log}."""

    zh = "{what} 未能启动：{problem}。日志：{log}。"


class NotInstalled(GraftError):
    """{what} is not installed here: the Python package "{package}" is missing. In Graft's
    own folder run `pip install -c requirements.lock -e '.[{extra}]'`."""

    zh = "此处未安装 {what}：缺少 Python 包“{package}”。请在 Graft 的目录中运行 `pip install -c requirements.lock -e '.[{extra}]'`。"
    exit_code = 3


class TooSlow(GraftError):
    """Not all jobs ended within {limit} seconds; the worker's log is in the data folder's `run`."""

    zh = "并非所有任务都在 {limit} 秒内结束；工作进程日志在数据目录的 `run` 中。"


class AddressTaken(UserError):
    """Something else already listens on {address}. Choose another port with --port."""

    zh = "{address} 已被其他程序占用。请用 --port 换一个端口。"
