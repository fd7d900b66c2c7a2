-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
/* /* */ UPDATE t SET a = 1 WHERE :range;
-- bbmd: section verify
*/
