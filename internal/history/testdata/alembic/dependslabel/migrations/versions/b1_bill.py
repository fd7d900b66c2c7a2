"""bills need the core's first"""
from alembic import op

revision = "b1"
down_revision = None
branch_labels = ["billing"]
depends_on = ("core",)


def upgrade():
    op.execute("CREATE TABLE t_b1 (id int)")


def downgrade():
    op.execute("DROP TABLE t_b1")
