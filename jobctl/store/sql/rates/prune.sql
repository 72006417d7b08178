-- Forgets the rates of which nothing is used up at :now.
DELETE FROM rates WHERE used_until <= :now
