-- When an account ends: from then on it gets nothing. Zero is never, and the row's MAC is
-- then what it was, so that rows of before verify as they stand.
alter table account add column ends bigint not null default 0;
