"""bills"""
from alembic import op

# bbmd:require finished backfill_member_mail
revision = "c3d4e5f6a7b8"
down_revision = "a1b2c3d4e5f6"
branch_labels = ("billing",)
depends_on = None


def upgrade():
    op.execute("CREATE TABLE bill (id bigint PRIMARY KEY, member bigint NOT NULL REFERENCES member)")


def downgrade():
    op.execute("DROP TABLE bill")
