"""right"""
from alembic import op

revision = "b2"
down_revision = "a1"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE t_b2 (id int)")


def downgrade():
    op.execute("DROP TABLE t_b2")
