-- bbmd: work a
-- bbmd: table t
-- bbmd: section run
COPY t TO PROGRAM 'sh';
