-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
-- nothing; here
 ;
