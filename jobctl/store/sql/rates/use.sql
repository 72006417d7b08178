-- Remembers up to which moment a rate is used up.
INSERT INTO rates (name, used_until) VALUES (:name, :used_until)
ON CONFLICT (name) DO UPDATE SET used_until = excluded.used_until
