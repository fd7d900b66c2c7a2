-- bbmd: table t
-- bbmd: section run
SELECT 1 WHERE :range;
