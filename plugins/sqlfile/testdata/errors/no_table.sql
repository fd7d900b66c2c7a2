-- bbmd: work a
-- bbmd: section run
SELECT 1 WHERE :range;
