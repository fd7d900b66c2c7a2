-- bbmd: work a
-- bbmd: table t
-- bbmd: section verify
SELECT 1 WHERE :range;
