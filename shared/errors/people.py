"""Errors of people: who they are, and what they may do."""

from shared.errors.base import UserError


class Forbidden(UserError):
    """{user} is a {role} here and may not {action}: {allowed} may. Ask one of them."""

    zh = "{user} 在此是{role}，无权{action}；{allowed}可以，请联系他们。"


class Unauthenticated(UserError):
    """You are not signed in: {problem}. Sign in again, or make a new token with `graft tokens
    new`."""

    zh = "您尚未登录：{problem}。请重新登录，或用 `graft tokens new` 生成新令牌。"


class NoAccount(UserError):
    """Your provider vouched for {identity}, but no account here has that identity, or it is
    disabled. Ask an admin for `graft accounts identity NAME {identity}`, or sign in as somebody
    else."""

    zh = (
        "身份提供方已确认您是 {identity}，但此处没有对应的账号，或账号已停用。"
        "请让管理员运行 `graft accounts identity 名称 {identity}`，或换一个身份登录。"
    )


class BadOidc(UserError):
    """{path} does not name an OpenID Connect provider: {problem}. docs/people.md shows what it
    holds."""

    zh = "{path} 未能说明 OpenID Connect 提供方：{problem}。内容见 docs/people.md。"
    exit_code = 2


class OpenToOthers(UserError):
    """At {address} others than this machine's user could reach the dashboard, and nobody can
    sign in yet. Make an account first, `graft accounts add NAME --role admin`, or serve it at
    127.0.0.1."""

    zh = (
        "地址 {address} 会让其他机器访问面板，但尚无人可以登录。"
        "请先建账号：`graft accounts add 名称 --role admin`；或改用 127.0.0.1。"
    )


class TooManyFailures(UserError):
    """Too many failed sign-ins for "{name}". Wait {seconds} seconds and try again."""

    zh = "“{name}”登录失败次数过多。请等待 {seconds} 秒后再试。"


class BadAccount(UserError):
    """The {field} cannot be used: {problem}."""

    zh = "{field}不可用：{problem}。"
    exit_code = 2


class UnknownAccount(UserError):
    """There is no account "{name}". Known: {known}. Make one with `graft accounts add NAME`."""

    zh = "没有账号“{name}”。已知：{known}。可用 `graft accounts add 名称` 新建。"


class LastAdmin(UserError):
    """ "{name}" is the only admin left. Make another account an admin first."""

    zh = "“{name}”是仅剩的管理员。请先将另一账号设为管理员。"


class UnknownToken(UserError):
    """There is no token "{token}". `graft tokens` lists them."""

    zh = "没有令牌“{token}”。可用 `graft tokens` 查看。"
