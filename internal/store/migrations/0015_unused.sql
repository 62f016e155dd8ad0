-- The table of 0001 was never written to: an automation key is an authenticator.
drop table api_key;
