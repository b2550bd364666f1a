"""Every failure Graft can name: one class each, docstring in English, `zh` in Chinese.

A message says what is wrong, with the thing's name, and what to do about it. Errors travel as
`{"code", "params"}` records (job rows, runner pipes), so each reader sees them in their language.
"""

import re
from typing import Any, ClassVar, Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class GraftError(Exception):
    """{detail}"""

    zh: ClassVar[str] = "{detail}"
    #: Exit code of the command line: 1 the job failed, 2 usage, 3 not reachable, 4 refused.
    exit_code: ClassVar[int] = 1

    def __init__(self, **params: Any) -> None:
        self.params = params
        super().__init__(self.message("en"))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.params)

    @classmethod
    def code(cls) -> str:
        """The stable name of this error, e.g. `unknown-base`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def message(self, language: Language = "en") -> str:
        """The sentence for a reader, in their language."""
        template = self.zh if language == "zh" else " ".join((self.__doc__ or "").split())
        return template.format_map(_Params(self.params))

    def record(self) -> dict[str, Any]:
        """This error as JSON: `{"code": ..., "params": {...}}`."""
        return {"code": self.code(), "params": self.params}


class _Params(dict[str, Any]):
    """Message parameters; a missing one shows as its name instead of hiding the message."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _rebuild(cls: type[GraftError], params: dict[str, Any]) -> GraftError:
    return cls(**params)


def _tree(cls: type[GraftError]) -> dict[str, type[GraftError]]:
    found = {cls.code(): cls}
    for child in cls.__subclasses__():
        found |= _tree(child)
    return found


def from_record(record: dict[str, Any]) -> GraftError:
    """The error a record describes; an unknown code (a newer worker's) keeps its text."""
    cls = _tree(GraftError).get(str(record.get("code")))
    params = dict(record.get("params") or {})
    if cls is None:
        return GraftError(detail=f"{record.get('code')}: {params}")
    return cls(**params)


def explain(record: dict[str, Any] | None, language: Language = "en") -> str:
    """A stored error record as a sentence; empty when there is none."""
    return from_record(record).message(language) if record else ""


# --- the request is wrong: the user can mend it, trying again will not --------------------------


class UserError(GraftError):
    """{detail}"""

    exit_code = 4


class InvalidSpec(UserError):
    """{field}: {problem}. Correct this value and submit again."""

    zh = "{field}：{problem}。请改正后重新提交。"
    exit_code = 2


class BadName(UserError):
    """The name "{name}" cannot be used: start with a letter or digit, then up to 63 letters,
    digits, dots, dashes or underscores."""

    zh = "名称“{name}”不可用：须以字母或数字开头，其后最多 63 个字母、数字、点、横线或下划线。"
    exit_code = 2


class NameTaken(UserError):
    """The {thing} name "{name}" is already in use. Choose another one."""

    zh = "名称“{name}”已被占用（{thing}）。请换一个。"


class UnknownBase(UserError):
    """There is no base model named "{name}". Known: {known}. Register one with
    `graft models add NAME FOLDER`."""

    zh = "没有名为“{name}”的底座模型。已知：{known}。可用 `graft models add 名称 目录` 登记。"


class BadBase(UserError):
    """ "{location}" is not a usable base model: {problem}. Give a folder with config.json,
    safetensors weights and a tokenizer."""

    zh = "“{location}”不是可用的底座模型：{problem}。请给出含 config.json、safetensors 权重和分词器的目录。"


class UnknownDataset(UserError):
    """There is no {kind} file named "{name}". Known: {known}. Upload it on the Datasets page
    or with `graft datasets add NAME FILE`."""

    zh = "没有名为“{name}”的{kind}文件。已知：{known}。请在“数据集”页上传，或用 `graft datasets add 名称 文件`。"


class UnknownAdapter(UserError):
    """There is no adapter named "{name}", and no queued or running job will make one.
    Known: {known}."""

    zh = "没有名为“{name}”的适配器，也没有排队或运行中的任务会产生它。已知：{known}。"


class UnknownComparison(UserError):
    """There is no comparison named "{name}". Known: {known}."""

    zh = "没有名为“{name}”的对比。已知：{known}。"


class UnknownJob(UserError):
    """There is no job "{job}". `graft jobs` lists them."""

    zh = "没有任务“{job}”。可用 `graft jobs` 查看。"


class AmbiguousJob(UserError):
    """ "{job}" fits several jobs: {matches}. Give more characters of the id."""

    zh = "“{job}”对应多个任务：{matches}。请多给几位编号。"
    exit_code = 2


class NotCancellable(UserError):
    """Job {job} has already {state}; only queued and running jobs can be cancelled."""

    zh = "任务 {job} 已经{state}；只有排队中和运行中的任务可以取消。"


class NotRetryable(UserError):
    """Job {job} is {state}; only failed and cancelled jobs can be retried."""

    zh = "任务 {job} 处于 {state}；只有失败或已取消的任务可以重试。"


class NotQueued(UserError):
    """Job {job} is {state}; only a queued job's priority can be changed."""

    zh = "任务 {job} 处于 {state} 状态；只能修改排队中任务的优先级。"


class QueueFull(UserError):
    """{user} has {queued} jobs queued and may have {limit}. Wait for some to start, cancel some,
    or ask for a higher limit (`graft limits`)."""

    zh = "{user} 已有 {queued} 个排队任务，上限为 {limit}。请等待部分任务开始、取消一些，或申请提高上限（`graft limits`）。"


class BadLimit(UserError):
    """A project has a weight only; {given} are limits of users. Try `graft limits set user NAME`."""

    zh = "项目只有权重；{given} 是用户的上限。请使用 `graft limits set user 用户名`。"


class BadSweep(UserError):
    """The sweep over {field} cannot be made: {problem}. Write it as
    `--sweep learning_rate=1e-4,3e-4`."""

    zh = "无法对 {field} 做网格展开：{problem}。写法示例：`--sweep learning_rate=1e-4,3e-4`。"


class UnknownHost(UserError):
    """There is no host "{host}". Known hosts: {known}."""

    zh = "没有名为“{host}”的主机。已知主机：{known}。"


class RankTooLarge(UserError):
    """Rank {rank} is above the width of the base model "{base}": its narrowest adapted matrix has
    {width} rows or columns. Choose a rank of at most {width}."""

    zh = "秩 {rank} 超过底座“{base}”的宽度：其最窄的适配矩阵只有 {width} 行或列。请选择不超过 {width} 的秩。"


class WrongBase(UserError):
    """Adapter "{adapter}" was trained on "{trained_on}", not on "{wanted}". Use a transfer method
    (copy, refresh) to move it to another base."""

    zh = "适配器“{adapter}”是在“{trained_on}”上训练的，不是“{wanted}”。要换底座，请用迁移方法（copy、refresh）。"


class WrongCount(UserError):
    """{method} takes {wanted}, but {given} were given."""

    zh = "{method} 需要 {wanted}，但给出了 {given} 个。"
    exit_code = 2


class DependencyFailed(UserError):
    """This job waited for "{name}" (job {job}), which ended as {state}. Retry that job, then this
    one."""

    zh = "本任务等待“{name}”（任务 {job}），但它以 {state} 结束。请先重试那个任务，再重试本任务。"


class FolderTaken(UserError):
    """The folder "{folder}" exists and is not empty. Name a new or an empty one."""

    zh = "目录“{folder}”已存在且非空。请换一个新的或空的目录。"


# --- the data is wrong --------------------------------------------------------------------------


class BadData(UserError):
    """{file}: {problem}"""

    zh = "{file}：{problem}"


class FileMissing(BadData):
    """{file}: there is no such file. Check the path."""

    zh = "{file}：没有这个文件。请检查路径。"


class NotJson(BadData):
    """{file}, line {line}: not valid JSON ({problem}). The file must be one JSON array of objects,
    or one object a line."""

    zh = "{file} 第 {line} 行：不是合法的 JSON（{problem}）。文件须为一个对象数组，或每行一个对象。"


class NotText(BadData):
    """{file}: not UTF-8 text (byte {position}). Save it as UTF-8 and upload it again."""

    zh = "{file}：不是 UTF-8 文本（第 {position} 字节）。请另存为 UTF-8 后重新上传。"


class EmptyData(BadData):
    """{file}: there are no rows in it. Upload a file with at least one row."""

    zh = "{file}：没有任何数据行。请上传至少含一行的文件。"


class BadRows(BadData):
    """{file}: {count} of {rows} rows cannot be used; row {first}: {problem}. Mend or remove these
    rows: {listed}."""

    zh = "{file}：{rows} 行中有 {count} 行不可用；第 {first} 行：{problem}。请修正或删除这些行：{listed}。"


class NothingToTrain(BadData):
    """No token of "{dataset}" would be trained: after the cut to {max_length} tokens no row keeps
    any of its answer. Raise max_length or shorten the prompts."""

    zh = "“{dataset}”中没有可训练的词元：截断到 {max_length} 个词元后，没有一行留有答案。请增大 max_length 或缩短提示。"


# --- the adapter or the result is wrong ---------------------------------------------------------


class NoOp(UserError):
    """NO-OP: {why} The result would behave exactly like its base, so nothing was published."""

    zh = "无效果（NO-OP）：{why} 结果会与底座完全相同，因此没有发布。"
    exit_code = 1


class NoAnswers(UserError):
    """None of the {asked} answers of donor "{donor}" can be learned: {unfinished} did not end
    within {limit} tokens, {empty} were empty, {too_long} prompts were too long to ask. Change
    max_new_tokens, or take a donor that ends its answers."""

    zh = "供体“{donor}”的 {asked} 条回答均不可用：{unfinished} 条未在 {limit} 个词元内结束，{empty} 条为空，{too_long} 条提示过长未提问。请调整 max_new_tokens，或换用会结束回答的供体。"


class UnsupportedAdapter(UserError):
    """Adapter "{adapter}" cannot be read: {problem}."""

    zh = "无法读取适配器“{adapter}”：{problem}。"


class NotFinite(UserError):
    """{what} became NaN or infinite at {where}. Lower the learning rate or check the data."""

    zh = "{what} 在 {where} 变为 NaN 或无穷大。请降低学习率或检查数据。"
    exit_code = 1


class ReloadMismatch(UserError):
    """The saved adapter gives other numbers than the trained one (largest logit difference
    {difference}); it was not published. Please report this."""

    zh = "保存后的适配器与训练时的数值不一致（最大 logit 差 {difference}），因此没有发布。请报告此问题。"
    exit_code = 1


class ResumeRefused(UserError):
    """The checkpoint cannot be continued: {what} changed since it was written. Submit a new job."""

    zh = "无法从检查点继续：{what} 在其写入后发生了变化。请提交新任务。"
    exit_code = 1


class BadHead(UserError):
    """ "{head}" is not a head of the event log. Give what `graft audit verify` printed:
    POSITION:HASH."""

    zh = "“{head}”不是事件日志的链头。请给出 `graft audit verify` 打印的 位置:哈希。"
    exit_code = 2


# --- the record was tampered with ---------------------------------------------------------------


class ChainBroken(GraftError):
    """{detail}"""


class EventEdited(ChainBroken):
    """Event {seq} was changed after it was sealed (position {position} of the chain). Compare it
    with a backup; every event after it is untrusted."""

    zh = "事件 {seq} 在封存后被修改（链上第 {position} 位）。请与备份核对；其后的事件均不可信。"


class EventDeleted(ChainBroken):
    """Event {seq} was deleted after it was sealed (position {position} of the chain). Restore it
    from a backup; every event after it is untrusted."""

    zh = "事件 {seq} 在封存后被删除（链上第 {position} 位）。请从备份恢复；其后的事件均不可信。"


class SealMissing(ChainBroken):
    """The chain of events is broken at position {position}: the seal there is missing or does not
    follow the one before it. Compare the table eventseal with a backup."""

    zh = "事件链在第 {position} 位断开：该处的封印缺失，或与前一个不衔接。请将 eventseal 表与备份核对。"


class HeadLost(ChainBroken):
    """The chain of events does not have the noted hash at position {position}: it was cut off or
    written anew since. Compare the tables event and eventseal with a backup."""

    zh = "事件链第 {position} 位没有当时记下的哈希：此后它被截断或重写。请将 event 与 eventseal 表与备份核对。"


# --- the machine failed: worth another try ------------------------------------------------------


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


# --- the pool is not there ----------------------------------------------------------------------


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
