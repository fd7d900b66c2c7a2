"""start"""
from alembic import op

revision = "a1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE t_a1 (id int)")


def downgrade():
    op.execute("DROP TABLE t_a1")
