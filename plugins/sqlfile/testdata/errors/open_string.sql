-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
UPDATE t SET a = 'x
-- bbmd: section verify
' WHERE :range;
