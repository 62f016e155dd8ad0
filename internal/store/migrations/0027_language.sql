-- The language in which an account is written to, as a BCP 47 tag; empty is the installation's
-- own, and the row's MAC is then what it was, so that rows of before verify as they stand.
alter table account add column language text not null default '';
