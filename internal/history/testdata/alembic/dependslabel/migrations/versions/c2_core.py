"""more core"""
from alembic import op

revision = "c2"
down_revision = "c1"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE t_c2 (id int)")


def downgrade():
    op.execute("DROP TABLE t_c2")
