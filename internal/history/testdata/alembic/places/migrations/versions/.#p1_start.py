"""start"""
from alembic import op

revision = "p1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE t_p1 (id int)")


def downgrade():
    op.execute("DROP TABLE t_p1")
