-- The content of a Work that was not compiled in, as it was when the migration started.

ALTER TABLE bbm.batched_background_migrations ADD COLUMN work_digest text;

COMMENT ON COLUMN bbm.batched_background_migrations.work_digest IS
  'Set by bbmd at the start: digest of the plugin that the Work came from. NULL: it is compiled in. `bbmd plugins approve` changes it.';
