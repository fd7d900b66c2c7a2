"""the table of members

Revision ID: a1b2c3d4e5f6
Revises:
Create Date: 2026-02-01 08:00:00

"""
from alembic import op

revision = 'a1b2c3d4e5f6'
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE member (id bigint PRIMARY KEY, mail text NOT NULL)")


def downgrade():
    op.execute("DROP TABLE member")
