"""next"""
from alembic import op

revision = "p2"
down_revision = "p1"
branch_labels = "main"
depends_on = None


def upgrade():
    op.execute("CREATE TABLE t_p2 (id int)")


def downgrade():
    op.execute("DROP TABLE t_p2")
