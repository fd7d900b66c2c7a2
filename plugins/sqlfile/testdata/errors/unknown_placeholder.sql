-- bbmd: work a
-- bbmd: table t
-- bbmd: param domain text
-- bbmd: section run
UPDATE t SET a = 'é' || :domian WHERE :range;
