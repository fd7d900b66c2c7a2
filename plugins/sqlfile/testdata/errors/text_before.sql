-- bbmd: work a
-- bbmd: table t
SELECT 1;
