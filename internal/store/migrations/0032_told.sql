-- Who was told of a session is told without a browser when it is over: due is when that is to be
-- done, and 0 while the session stands or nobody is to be told so. What is told is sealed.
alter table participant add column due bigint not null default 0;
alter table participant add column tries bigint not null default 0;
create index participant_due on participant (due);
