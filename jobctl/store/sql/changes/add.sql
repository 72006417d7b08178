-- Notes a change, in the transaction that makes it; gives back its number.
INSERT INTO changes (at, uid, request, subject, detail) VALUES (?, ?, ?, ?, ?) RETURNING id
