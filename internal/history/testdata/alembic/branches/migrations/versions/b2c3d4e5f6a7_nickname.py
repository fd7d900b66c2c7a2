"""members have
a nickname

Revision ID: b2c3d4e5f6a7
Revises: a1b2c3d4e5f6

"""
from typing import Sequence, Union

from alembic import op

# with annotations, as the template of newer releases writes it
revision: str = "b2c3d4e5f6a7"
down_revision: Union[str, Sequence[str], None] = "a1b2c3d4e5f6"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    revision = "a local name, which means nothing"
    op.execute("ALTER TABLE member ADD nickname text -- " + revision)


def downgrade() -> None:
    op.execute("ALTER TABLE member DROP nickname")
