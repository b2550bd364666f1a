"""Errors of a request: the user can mend it, trying again will not."""

from shared.errors.base import UserError


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


class NoQuantisation(UserError):
    """The base cannot be held in {bits} bits on this host: {why}. Install bitsandbytes into the
    worker's environment, send the job to a host that has it (labels), or take base_bits full."""

    zh = (
        "该主机无法以 {bits} 位加载底座：{why}。请在工作进程的环境中安装 bitsandbytes，"
        "用标签把任务派往装有它的主机，或将 base_bits 设为 full。"
    )


class NoFloat8(UserError):
    """This host has no products of 8-bit floats (base_bits fp8): {why}. Send the job to a host
    with an Ada or Hopper card or a newer one (labels), or take base_bits full."""

    zh = (
        "该主机不支持 8 位浮点乘积（base_bits 为 fp8）：{why}。"
        "请用标签把任务派往装有 Ada、Hopper 或更新显卡的主机，或将 base_bits 设为 full。"
    )


class UnknownDataset(UserError):
    """There is no {kind} file named "{name}". Known: {known}. Upload it on the Datasets page
    or with `graft datasets add NAME FILE`."""

    zh = "没有名为“{name}”的{kind}文件。已知：{known}。请在“数据集”页上传，或用 `graft datasets add 名称 文件`。"


class UnknownAdapter(UserError):
    """There is no adapter named "{name}", and no queued or running job will make one.
    Known: {known}."""

    zh = "没有名为“{name}”的适配器，也没有排队或运行中的任务会产生它。已知：{known}。"


class NothingToJudge(UserError):
    """Comparison "{comparison}" has no two arms whose written answers differ. A judge needs a
    benchmark of generate or instruct items."""

    zh = "对比“{comparison}”中没有回答不同的两方。裁判需要生成或指令类评测集。"


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


class ChatEnded(UserError):
    """Session "{job}" has ended ({state}) and answers no more. Start it again and ask there."""

    zh = "会话 {job} 已结束（{state}），不再回答。请重新开始会话后再提问。"


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


class OneCardOnly(UserError):
    """A job to {kind} computes on one card, and {gpus} are asked for. Ask for one; only a training
    uses several."""

    zh = "{kind} 任务只在一张卡上计算，却请求了 {gpus} 张。请只请求一张；只有训练会用到多张。"


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


class KeyReused(UserError):
    """The idempotency key "{key}" already made job {job} ("{name}"), which is another request.
    Use a new key for each request."""

    zh = "幂等键“{key}”已用于任务 {job}（“{name}”），与本次请求不同。请为每个请求使用新的键。"


class TooLarge(UserError):
    """The request is larger than {limit} MiB. Send less at once; register large files on the
    pool's machine with `graft datasets add`."""

    zh = "请求超过 {limit} MiB。请减少单次发送的内容；大文件请在资源池的机器上用 `graft datasets add` 登记。"


class BadJson(UserError):
    """The request's JSON cannot be used: {problem}."""

    zh = "请求的 JSON 不可用：{problem}。"


class JobEnded(UserError):
    """{name} (job {job}) ended as {state}: {reason}"""

    zh = "{name}（任务 {job}）以 {state} 结束：{reason}"
    exit_code = 1


class StillRunning(UserError):
    """{name} is {state} after {seconds} s; the job goes on. Look at {url}, or wait longer."""

    zh = "{seconds} 秒后 {name} 仍处于 {state}；任务继续进行。请查看 {url}，或等待更久。"
