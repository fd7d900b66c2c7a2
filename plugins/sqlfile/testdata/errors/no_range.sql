-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
UPDATE t SET a = 1 WHERE :range;


  UPDATE t SET b = 1;
