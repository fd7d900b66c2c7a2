"""core"""
from alembic import op

revision = "c1"
down_revision = None
branch_labels = "core"
depends_on = None


def upgrade():
    op.execute("CREATE TABLE t_c1 (id int)")


def downgrade():
    op.execute("DROP TABLE t_c1")
