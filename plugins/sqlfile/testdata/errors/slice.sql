-- bbmd: work a
-- bbmd: table t
-- bbmd: param n bigint
-- bbmd: section run
UPDATE t SET a = b[1:n] WHERE :range;
