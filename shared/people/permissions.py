"""What each role may do; asked by every function of `shared` that changes something."""

from enum import StrEnum

from shared.errors import Both, Forbidden, both
from shared.people.actors import Actor, Role


class Action(StrEnum):
    """What people do to the pool."""

    READ = "read"
    SUBMIT = "submit"
    COMPARE = "compare"
    CANCEL = "cancel"
    RETRY = "retry"
    REPRIORITISE = "reprioritise"
    PUBLISH_ADAPTER = "publish-adapter"
    RENAME_ADAPTER = "rename-adapter"
    DELETE_ADAPTER = "delete-adapter"
    PROMOTE_ADAPTER = "promote-adapter"
    REGISTER_DATASET = "register-dataset"
    DELETE_DATASET = "delete-dataset"
    CREATE_KNOWLEDGE = "create-knowledge"
    EDIT_KNOWLEDGE = "edit-knowledge"
    PROPOSE_SAMPLE = "propose-sample"
    APPROVE_SAMPLE = "approve-sample"
    VOTE = "vote"
    CHAT = "chat"
    REGISTER_MODEL = "register-model"
    DRAIN_HOST = "drain-host"
    SET_LIMITS = "set-limits"
    MANAGE_PEOPLE = "manage-people"
    CHANGE_PASSWORD = "change-password"
    MAKE_TOKEN = "make-token"
    REVOKE_TOKEN = "revoke-token"
    KEEP_VIEW = "keep-view"
    KEEP_DRAFT = "keep-draft"
    SAVE_SPEC = "save-spec"
    FORGET_SPEC = "forget-spec"


_ADMINS = {
    Action.REGISTER_MODEL,
    Action.DRAIN_HOST,
    Action.SET_LIMITS,
    Action.MANAGE_PEOPLE,
}
#: On a thing that is there: a member may where they own it.
OWNED = {
    Action.CHAT,
    Action.CANCEL,
    Action.RETRY,
    Action.REPRIORITISE,
    Action.RENAME_ADAPTER,
    Action.DELETE_ADAPTER,
    Action.PROMOTE_ADAPTER,
    Action.DELETE_DATASET,
    Action.EDIT_KNOWLEDGE,
    Action.APPROVE_SAMPLE,
    Action.FORGET_SPEC,
}
#: Of one's own account, which a viewer has too; somebody else's is for admins.
_PERSONAL = {
    Action.CHANGE_PASSWORD,
    Action.MAKE_TOKEN,
    Action.REVOKE_TOKEN,
    Action.KEEP_VIEW,
    Action.KEEP_DRAFT,
}

WORDS: dict[Action, Both] = {
    Action.READ: both("look at the pool", "查看资源池"),
    Action.SUBMIT: both("submit jobs", "提交任务"),
    Action.COMPARE: both("submit evaluations", "提交评测"),
    Action.CANCEL: both("cancel this job", "取消该任务"),
    Action.RETRY: both("retry this job", "重试该任务"),
    Action.REPRIORITISE: both("change this job's priority", "修改该任务的优先级"),
    Action.PUBLISH_ADAPTER: both("add adapters", "添加适配器"),
    Action.RENAME_ADAPTER: both("rename this adapter", "重命名该适配器"),
    Action.DELETE_ADAPTER: both("delete this adapter", "删除该适配器"),
    Action.PROMOTE_ADAPTER: both("promote this adapter", "推荐该适配器"),
    Action.REGISTER_DATASET: both("add datasets", "添加数据集"),
    Action.DELETE_DATASET: both("delete this dataset", "删除该数据集"),
    Action.CREATE_KNOWLEDGE: both("make knowledge bases", "新建知识库"),
    Action.EDIT_KNOWLEDGE: both("edit this knowledge base", "编辑该知识库"),
    Action.PROPOSE_SAMPLE: both("propose samples", "提议样本"),
    Action.APPROVE_SAMPLE: both("decide on this knowledge base's proposals", "审批该知识库的提议"),
    Action.VOTE: both("vote", "投票"),
    Action.CHAT: both("ask in this session", "在该会话中提问"),
    Action.REGISTER_MODEL: both("add base models", "登记底座模型"),
    Action.DRAIN_HOST: both("drain hosts or take them back", "排空或恢复主机"),
    Action.SET_LIMITS: both("set limits", "设置上限"),
    Action.MANAGE_PEOPLE: both("manage people's accounts", "管理账号"),
    Action.CHANGE_PASSWORD: both("change this password", "修改该密码"),
    Action.MAKE_TOKEN: both("make tokens for this account", "为该账号生成令牌"),
    Action.REVOKE_TOKEN: both("revoke this token", "吊销该令牌"),
    Action.KEEP_VIEW: both("change these saved views", "修改这些已存视图"),
    Action.KEEP_DRAFT: both("change this draft", "修改该草稿"),
    Action.SAVE_SPEC: both("save specs", "保存规格"),
    Action.FORGET_SPEC: both("delete this saved spec", "删除该已存规格"),
}


def may(actor: Actor, action: Action, *, owner: str | None = None) -> bool:
    """Whether somebody may do this; `owner` is the user whose thing it is, "" for nobody's.

    Raises TypeError when an action on an existing thing comes without its owner: that would
    let every member do it.
    """
    if owner is None and action in OWNED | _PERSONAL:
        raise TypeError(f"{action} needs to know whose thing it is")
    if actor.role is Role.ADMIN or action is Action.READ:
        return True
    if action in _PERSONAL:
        return owner == actor.user
    if actor.role is Role.VIEWER or action in _ADMINS:
        return False
    return owner is None or (owner == actor.user and owner != "")


def authorise(actor: Actor, action: Action, *, owner: str | None = None) -> None:
    """Raises Forbidden, which says who may and whom to ask, where `may` says no."""
    if may(actor, action, owner=owner):
        return
    allowed = _allowed(action, owner)
    raise Forbidden(user=actor.user, role=actor.role.words, action=WORDS[action], allowed=allowed)


def _allowed(action: Action, owner: str | None) -> Both:
    if owner and action not in _ADMINS:
        return both(f"its owner ({owner}) and admins", f"其所有者（{owner}）和管理员")
    if action in _ADMINS | OWNED | _PERSONAL:
        return both("admins", "管理员")
    return both("members and admins", "成员和管理员")
