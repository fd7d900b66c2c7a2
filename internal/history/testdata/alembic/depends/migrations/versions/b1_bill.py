"""bills need the core"""
from alembic import op

revision = "b1"
down_revision = None
branch_labels = ["billing"]
depends_on = "c2"


def upgrade():
    op.execute("CREATE TABLE t_b1 (id int)")


def downgrade():
    op.execute("DROP TABLE t_b1")
