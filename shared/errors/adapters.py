"""Errors of adapters, and of results that must not be published."""

from shared.errors.base import UserError


class NoOp(UserError):
    """NO-OP: {why} The result would behave exactly like its base, so nothing was published."""

    zh = "无效果（NO-OP）：{why} 结果会与底座完全相同，因此没有发布。"
    exit_code = 1


class NoAnswers(UserError):
    """None of the {asked} answers of donor "{donor}" can be learned: {unfinished} did not end
    within {limit} tokens, {empty} were empty, {too_long} prompts were too long to ask. Change
    max_new_tokens, or take a donor that ends its answers."""

    zh = "供体“{donor}”的 {asked} 条回答均不可用：{unfinished} 条未在 {limit} 个词元内结束，{empty} 条为空，{too_long} 条提示过长未提问。请调整 max_new_tokens，或换用会结束回答的供体。"


class TwoVocabularies(UserError):
    """Donor "{donor}" and host "{host}" cut text into other tokens, so the host cannot learn the
    donor's own distribution. Take target "change", which is aligned byte by byte, or "refresh"."""

    zh = "供体“{donor}”与宿主“{host}”的词表不同，宿主无法学习供体自己的分布。请改用按字节对齐的目标 change，或改用 refresh。"


class UnsupportedAdapter(UserError):
    """Adapter "{adapter}" cannot be read: {problem}."""

    zh = "无法读取适配器“{adapter}”：{problem}。"


class NotFinite(UserError):
    """{what} became NaN or infinite at {where}. Lower the learning rate or check the data."""

    zh = "{what} 在 {where} 变为 NaN 或无穷大。请降低学习率或检查数据。"
    exit_code = 1


class ReloadMismatch(UserError):
    """The saved adapter is not the one that was trained: {difference}. It was not published.
    Please report this."""

    zh = "保存后的适配器与训练时的不一致：{difference}。因此没有发布。请报告此问题。"
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
