-- When what a provisioning client sees of an account or a group was changed last (RFC 7643, section
-- 3.1, meta.lastModified); 0 is not since it was made. An account's is in the row's MAC where it is
-- not 0, so that rows of before verify as they stand. A group's says nothing that anybody decides by.
alter table account add column changed bigint not null default 0;
alter table team add column changed bigint not null default 0;
