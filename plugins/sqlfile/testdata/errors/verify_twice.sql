-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
SELECT 1 WHERE :range;
-- bbmd: section verify
SELECT 1 WHERE :range;
SELECT 2 WHERE :range;
