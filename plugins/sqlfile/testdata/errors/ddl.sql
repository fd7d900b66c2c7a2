-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
ALTER TABLE t ADD COLUMN b int;
