"""members are active, or are not"""
from alembic import op

revision = "f6a7b8c9d0e1"
down_revision = "e5f6a7b8c9d0"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE t_f6a7b8c9d0e1 (id int)")


def downgrade():
    op.execute("DROP TABLE t_f6a7b8c9d0e1")
