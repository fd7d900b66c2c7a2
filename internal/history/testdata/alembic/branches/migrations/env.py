"""Runs revisions on $DATABASE_URL, each in a transaction of its own."""
import os

from alembic import context
import sqlalchemy as sa

engine = sa.create_engine(os.environ["DATABASE_URL"], poolclass=sa.pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
