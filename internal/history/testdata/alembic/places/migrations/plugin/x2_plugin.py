"""a plugin, again"""
from alembic import op

revision = "x2"
down_revision = "x1"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE t_x2 (id int)")


def downgrade():
    op.execute("DROP TABLE t_x2")
