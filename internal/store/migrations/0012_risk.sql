-- Since when an account is at risk: its owner said that a sign-in was not theirs, and
-- has set no new password since. Zero is not.
alter table account add column risk bigint not null default 0;
