"""Errors of knowledge bases and their samples."""

from shared.errors.base import UserError


class UnknownKnowledge(UserError):
    """There is no knowledge base named "{name}". Known: {known}. Make one with
    `graft knowledge new NAME`."""

    zh = "没有名为“{name}”的知识库。已知：{known}。可用 `graft knowledge new 名称` 新建。"


class UnknownRevision(UserError):
    """Knowledge base "{name}" has no revision {revision}; its newest is {newest}."""

    zh = "知识库“{name}”没有修订版 {revision}；最新为 {newest}。"


class UnknownSample(UserError):
    """Knowledge base "{name}" has no sample "{sample}" in its newest revision.
    `graft knowledge ls {name}` lists them."""

    zh = "知识库“{name}”的最新修订版中没有样本“{sample}”。可用 `graft knowledge ls {name}` 查看。"


class SampleKnown(UserError):
    """Knowledge base "{name}" has this sample already, as {sample}. Edit that one instead."""

    zh = "知识库“{name}”已有该样本：{sample}。请改为修改那一条。"


class EmptySample(UserError):
    """A sample needs text in {field}."""

    zh = "样本的 {field} 不能为空。"


class UnknownProposal(UserError):
    """There is no open proposal "{proposal}" for the knowledge base "{name}"."""

    zh = "知识库“{name}”没有待审的提议“{proposal}”。"


class EmptyKnowledge(UserError):
    """Knowledge base "{name}" has no sample in revision {revision}. Add some first:
    `graft knowledge add {name}`."""

    zh = "知识库“{name}”的修订版 {revision} 中没有样本。请先添加：`graft knowledge add {name}`。"
