"""Errors of a machine: worth another try."""

from shared.errors.base import GraftError, UserError


class HostError(GraftError):
    """{detail}"""


class DiskFull(HostError):
    """The disk of host {host} has no room left at {path}. Free some space, then retry the job."""

    zh = "主机 {host} 的磁盘在 {path} 处已满。请腾出空间后重试。"


class LowDisk(HostError):
    """Host {host} has {free} MiB left at {path} and takes no jobs until there are {wanted}
    (GRAFT_MIN_FREE_MB). Free some space there; it goes on by itself."""

    zh = "主机 {host} 在 {path} 仅剩 {free} MiB，达到 {wanted} MiB（GRAFT_MIN_FREE_MB）之前不接任务。腾出空间后会自动恢复。"


class StoreAway(HostError):
    """The artifact store {url} did not do what was asked: {problem}. The job is tried again; check
    the store and this machine's way to it."""

    zh = "工件库 {url} 未能完成操作：{problem}。任务会重试；请检查工件库及本机到它的连接。"


class OutOfMemory(HostError):
    """The device ran out of memory ({detail}). Lower the batch size, max_length or rank."""

    zh = "设备内存不足（{detail}）。请减小批大小、max_length 或秩。"


class DoesNotFit(UserError):
    """Full fine-tuning of "{base}" needs about {need} MiB, and {where} has {free} MiB free. Take
    tuning lora, a smaller micro_batch_size or max_length, or more memory."""

    zh = "全量微调“{base}”约需 {need} MiB，而{where}仅有 {free} MiB 可用。请改用 lora，减小 micro_batch_size 或 max_length，或换更大内存。"
    exit_code = 1


class HostLost(HostError):
    """Host {host} stopped answering while it ran this job; the job was queued again."""

    zh = "主机 {host} 在运行本任务时失去响应；任务已重新排队。"


class HostTaken(HostError):
    """Another worker already runs under the host name "{host}". Stop it first, or set
    GRAFT_HOST_NAME to another name."""

    zh = "主机名“{host}”已有另一个 worker 在运行。请先停止它，或把 GRAFT_HOST_NAME 设为别的名称。"
    exit_code = 4


class SqliteShared(HostError):
    """The SQLite database is already used by a worker on another machine, host "{other}". A file
    cannot be shared between machines: set GRAFT_DATABASE_URL to a PostgreSQL database."""

    zh = "该 SQLite 数据库已被另一台机器上的主机“{other}”使用。文件不能由多台机器共享：请将 GRAFT_DATABASE_URL 设为 PostgreSQL 数据库。"
    exit_code = 4


class RunnerDied(HostError):
    """The process of this job ended without a result ({how}). The log has its last words."""

    zh = "本任务的进程在没有结果的情况下结束（{how}）。详情见日志末尾。"


class TimeLimit(HostError):
    """The job ran longer than its limit of {limit} seconds. Raise time_limit or make it smaller."""

    zh = "任务运行超过了 {limit} 秒的时限。请调大 time_limit 或缩小任务。"


class Internal(HostError):
    """Graft made a mistake: {detail}. The log has the traceback; please report it."""

    zh = "Graft 内部错误：{detail}。日志中有调用栈，请报告。"
