"""a plugin"""
from alembic import op

revision = "x1"
down_revision = None
branch_labels = "plugin"
depends_on = "p1"


def upgrade():
    op.execute("CREATE TABLE t_x1 (id int)")


def downgrade():
    op.execute("DROP TABLE t_x1")
