-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
SELECT 1 WHERE :range;
-- bbmd: version 2
