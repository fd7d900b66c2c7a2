-- bbmd: work normalize_phone_sql
-- bbmd: version 1
-- bbmd: summary Fills phone_e164 with the number in international form.
-- bbmd: table public.users
-- bbmd: param country text

-- bbmd: section run
UPDATE public.users
   SET phone_e164 = CASE
         WHEN phone ~ '^\s*\+' THEN '+' || regexp_replace(phone, '[^0-9]', '', 'g')
         WHEN regexp_replace(phone, '[^0-9]', '', 'g') LIKE '00%' THEN '+' || substr(regexp_replace(phone, '[^0-9]', '', 'g'), 3)
         ELSE :country || regexp_replace(regexp_replace(phone, '[^0-9]', '', 'g'), '^0', '')
       END
 WHERE :range
   AND phone IS NOT NULL;

-- bbmd: section verify
SELECT count(*)
  FROM public.users
 WHERE :range
   AND phone IS NOT NULL
   AND phone_e164 IS NULL;
