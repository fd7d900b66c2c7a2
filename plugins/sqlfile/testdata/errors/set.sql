-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
/* why */ SET ROLE postgres;
