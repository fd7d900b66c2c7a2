"""nickname and bills together"""
revision = "e5f6a7b8c9d0"
down_revision = (
    "b2c3d4e5f6a7",  # the nickname
    "d4e5f6a7b8c9",  # the bills
)
branch_labels = None
depends_on = None


def upgrade():
    pass


def downgrade():
    pass
