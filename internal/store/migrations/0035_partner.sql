-- Partners: other organisations whose people administer something for us.
create table partner (
    id      {identity},
    name    text    not null unique,
    payload {bytes} not null, -- sealed: what it is set to
    version bigint  not null
);
-- What was given to a person of a partner, by whom, and until when. Rows stay when they are over:
-- they are the history that reports tell.
create table delegation (
    id      {identity},
    account bigint  not null, -- whose it is
    payload {bytes} not null, -- sealed: scope, times, who approved it
    version bigint  not null
);
create index delegation_account on delegation (account);
