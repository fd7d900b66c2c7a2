-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
DO $$ BEGIN COMMIT; END $$;
