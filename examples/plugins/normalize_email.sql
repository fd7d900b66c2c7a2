-- bbmd: work normalize_email
-- bbmd: version 1
-- bbmd: summary Fills email_norm with the address in lower case, but for addresses of one domain.
-- bbmd: table public.users
-- bbmd: param except text = "example.com"

-- bbmd: section run
UPDATE public.users
   SET email_norm = lower(btrim(email))
 WHERE :range
   AND email NOT LIKE '%@' || :except;

-- bbmd: section verify
SELECT count(*)
  FROM public.users
 WHERE :range
   AND email NOT LIKE '%@' || :except
   AND email_norm IS DISTINCT FROM lower(btrim(email));
