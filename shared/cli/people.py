"""`graft accounts` and `graft tokens`: who may sign in, and what scripts show instead."""

import sys
from typing import Any

import click

from shared import db
from shared.cli.output import clock, emit, note, table
from shared.cli.parts import Group, OneOf
from shared.cli.session import require_database
from shared.errors import BadAccount, both
from shared.language import language, say
from shared.people import accounts as account_service
from shared.people import tokens as token_service
from shared.people.actors import Role, local_actor
from shared.people.tokens import LONGEST_DAYS, Scope
from shared.tables import Account, Token

_ROLES = OneOf([role.value for role in Role])


@click.group(
    "accounts",
    cls=Group,
    invoke_without_command=True,
    help=say(
        "Accounts of the team. Whoever runs this command holds the database and counts as an "
        "admin.",
        "团队账号。能运行此命令者持有数据库，视为管理员。",
    ),
)
@click.pass_context
def accounts(context: click.Context) -> None:
    if context.invoked_subcommand is not None:
        return
    require_database()
    with db.reading() as session:
        found = account_service.listing(session)
    headings = say("name role signs-in state last-sign-in", "名称 角色 登录方式 状态 最近登录")
    rows = [
        (each.name, each.role, _way(each), _state(each), _moment(each.signed_in_at))
        for each in found
    ]
    emit([_shown(each) for each in found], table(headings.split(), rows))


def _way(each: Account) -> str:
    ways = [say("password", "密码")] if each.password_hash else []
    return ", ".join([*ways, *([f"OIDC {each.identity}"] if each.identity else [])]) or "–"


def _state(each: Account) -> str:
    return say("disabled", "已停用") if each.disabled else say("active", "正常")


def _moment(at: float | None) -> str:
    return "–" if at is None else clock(at)


def _shown(each: Account) -> dict[str, Any]:
    return each.model_dump(exclude={"password_hash"}) | {"password": bool(each.password_hash)}


@accounts.command("add", help=say("Make an account.", "新建账号。"))
@click.argument("name")
@click.option(
    "--role", type=_ROLES, default=Role.MEMBER.value,
    help=say("viewer, member or admin. Default: member.", "viewer、member、admin；默认 member。"),
)  # fmt: skip
@click.option(
    "--password-stdin", is_flag=True,
    help=say("Read the password from standard input.", "从标准输入读取密码。"),
)  # fmt: skip
@click.option(
    "--identity",
    help=say(
        "Sign in at the OIDC provider instead: an e-mail address, or sub: and its number.",
        "改由 OIDC 提供方登录：邮箱地址，或 sub: 加其编号。",
    ),
)
def add(name: str, role: str, password_stdin: bool, identity: str | None) -> None:
    require_database()
    password = _password(password_stdin) if password_stdin or not identity else None
    with db.writing() as session:
        made = account_service.create(
            session, name, Role(role), actor=local_actor(), password=password, identity=identity
        )
    emit(_shown(made), f"{made.name} ({Role(made.role).words[language()]})")


@accounts.command("password", help=say("Set somebody's password.", "设置密码。"))
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help=say("Read it from stdin.", "从标准输入读取。"))
def password(name: str, password_stdin: bool) -> None:
    require_database()
    with db.writing() as session:
        account_service.find(session, name)
    given = _password(password_stdin)
    with db.writing() as session:
        emit(_shown(account_service.set_password(session, name, given, actor=local_actor())), name)


@accounts.command(
    "identity",
    help=say(
        "Whom the OIDC provider vouches for: an e-mail address, or sub: and its number; none ends "
        "it.",
        "OIDC 提供方所确认的身份：邮箱地址，或 sub: 加其编号；不给则取消。",
    ),
)
@click.argument("name")
@click.argument("identity", default="")
def identity_of(name: str, identity: str) -> None:
    require_database()
    with db.writing() as session:
        changed = account_service.set_identity(session, name, identity, actor=local_actor())
    emit(_shown(changed), f"{name}: {_way(changed)}")


def _password(from_stdin: bool) -> str:
    """A password that is typed twice, or one line of a pipe. Raises BadAccount without either."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        problem = both(
            "there is no terminal to type it; pipe it in with --password-stdin",
            "没有可输入的终端；请配合 --password-stdin 用管道传入",
        )
        raise BadAccount(field=both("password", "密码"), problem=problem)
    asked = say("Password", "密码")
    return click.prompt(asked, hide_input=True, confirmation_prompt=True, err=True)


@accounts.command("role", help=say("Give somebody another role.", "修改角色。"))
@click.argument("name")
@click.argument("role", type=_ROLES)
def role_of(name: str, role: str) -> None:
    require_database()
    with db.writing() as session:
        changed = account_service.set_role(session, name, Role(role), actor=local_actor())
    emit(_shown(changed), f"{name} ({Role(role).words[language()]})")


@accounts.command(
    "disable", help=say("Lock somebody out at once, tokens included.", "立即停用账号及其令牌。")
)
@click.argument("name")
def disable(name: str) -> None:
    _disable(name, disabled=True)


@accounts.command("enable", help=say("Let somebody in again.", "恢复账号。"))
@click.argument("name")
def enable(name: str) -> None:
    _disable(name, disabled=False)


def _disable(name: str, *, disabled: bool) -> None:
    require_database()
    with db.writing() as session:
        changed = account_service.disable(session, name, actor=local_actor(), disabled=disabled)
    emit(_shown(changed), f"{name}: {_state(changed)}")


@click.group(
    "tokens",
    cls=Group,
    invoke_without_command=True,
    help=say("Tokens for the API and the Python client.", "用于 API 与 Python 客户端的令牌。"),
)
@click.pass_context
def tokens(context: click.Context) -> None:
    if context.invoked_subcommand is not None:
        return
    require_database()
    with db.reading() as session:
        found = token_service.listing(session)
    headings = say("id user role label expires used ended", "编号 用户 角色 备注 到期 最近 吊销")
    rows = [
        (each.id, each.user, each.role, each.label, clock(each.expires_at), _moment(each.used_at),
         _moment(each.revoked_at))
        for each in found
    ]  # fmt: skip
    emit([_without_hash(each) for each in found], table(headings.split(), rows))


def _without_hash(each: Token) -> dict[str, Any]:
    return each.model_dump(exclude={"secret_hash"})


@tokens.command("new", help=say("Make a token; it is shown once.", "生成令牌；只显示一次。"))
@click.option("--user", help=say("Whose. Default: yours.", "所属用户。默认：自己。"))
@click.option(
    "--scope", type=OneOf([scope.value for scope in Scope]), default=Scope.SUBMIT.value,
    help=say("read, submit or admin. Default: submit.", "read、submit 或 admin。默认：submit。"),
)  # fmt: skip
@click.option(
    "--days", type=click.FloatRange(0, LONGEST_DAYS, min_open=True), default=90.0,
    help=say("Days it is good for. Default: 90.", "有效天数。默认：90。"),
)  # fmt: skip
@click.option("--label", default="", help=say("What it is for.", "用途。"))
def new(user: str | None, scope: str, days: float, label: str) -> None:
    require_database()
    actor = local_actor()
    with db.writing() as session:
        made = token_service.create(
            session, user or actor.user, Scope(scope), actor=actor, days=days, label=label
        )
    note(say("Keep it safe: it is not shown again.", "请妥善保存：不会再次显示。"))
    emit(_without_hash(made.token) | {"token": made.text}, made.text)


@tokens.command("revoke", help=say("End a token at once.", "立即吊销令牌。"))
@click.argument("token")
def revoke(token: str) -> None:
    require_database()
    with db.writing() as session:
        ended = token_service.revoke(session, token, actor=local_actor())
    emit(_without_hash(ended), token)
