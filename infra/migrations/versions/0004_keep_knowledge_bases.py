"""Knowledge bases: versions of samples, revisions, and proposals."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _time(name: str, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Float(precision=53), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "knowledgebase",
        *_words("name"),
        *_numbers("revision"),
        *_words("user"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "knowledgerevision",
        *_words("base"),
        *_numbers("revision"),
        *_words("action"),
        *_numbers("changed", "samples"),
        *_words("user"),
        _time("created_at"),
        sa.ForeignKeyConstraint(["base"], ["knowledgebase.name"]),
        sa.PrimaryKeyConstraint("base", "revision"),
    )
    op.create_table(
        "sampleversion",
        *_numbers("key"),
        *_words("base", "sample_id"),
        *_numbers("since"),
        sa.Column("until", sa.Integer(), nullable=True),
        *_words("lang"),
        *_texts("instruction", "input", "output"),
        *_words("content_hash", "source", "user"),
        _time("created_at"),
        _time("expires_at", nullable=True),
        sa.ForeignKeyConstraint(["base"], ["knowledgebase.name"]),
        sa.PrimaryKeyConstraint("key"),
    )
    for name, column in (("since", "since"), ("until", "until"), ("of", "sample_id")):
        op.create_index(f"sample_{name}", "sampleversion", ["base", column])
    alive = sa.text("until is null")
    op.create_index(
        "sample_content",
        "sampleversion",
        ["base", "content_hash"],
        unique=True,
        postgresql_where=alive,
        sqlite_where=alive,
    )
    op.create_table(
        "proposal",
        *_words("id", "base"),
        *_texts("instruction", "input", "output"),
        *_words("state"),
        sa.Column("sample_id", sa.String(), nullable=True),
        *_words("user", "decided_by"),
        _time("created_at"),
        sa.ForeignKeyConstraint(["base"], ["knowledgebase.name"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_proposal_base", "proposal", ["base"])
