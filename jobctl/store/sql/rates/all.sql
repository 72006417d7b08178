-- Every rate that something was started by.
SELECT name, used_until FROM rates
