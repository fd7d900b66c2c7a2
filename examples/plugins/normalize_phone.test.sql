-- What `bbmd plugins test normalize_phone.sql` tries the Work with, on a database of its own.
-- bbmd: table public.users
-- bbmd: arguments {"country": "+49"}
-- bbmd: refused {}

-- bbmd: section setup
CREATE TABLE public.users (id bigint PRIMARY KEY, phone text, phone_e164 text);
INSERT INTO public.users SELECT i, (ARRAY['030 1234', ' +1 (555) 0', '0043/1', NULL])[1 + i % 4] || i FROM generate_series(1, 30) i;

-- bbmd: section wrong
SELECT id, phone_e164 FROM public.users
 WHERE phone_e164 IS DISTINCT FROM (ARRAY['+49301234' || id, '+15550' || id, '+431' || id, NULL])[1 + id % 4];
