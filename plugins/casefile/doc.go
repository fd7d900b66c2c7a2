// Package casefile reads the files that say how a plugin is tried: a table, what
// is in it, and what has to be true in the end.
//
//	-- bbmd: case normalize_phone
//	-- bbmd: table users
//	-- bbmd: arguments {"country": "+49"}
//
//	-- bbmd: section setup
//	CREATE TABLE users (id bigint PRIMARY KEY, phone text, phone_e164 text);
//	INSERT INTO users SELECT i, '030 ' || i FROM generate_series(1, 30) i;
//
//	-- bbmd: section wrong
//	SELECT id FROM users WHERE phone_e164 IS DISTINCT FROM '+4930' || id;
//
// It refuses what it does not understand, with the line and the way out. What a
// case means is testing/migtest's to say.
package casefile
