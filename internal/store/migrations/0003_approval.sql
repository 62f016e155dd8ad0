-- Sign-ins that wait for their owner to approve them elsewhere, by a number that
-- is shown where they wait. The account's and the number's MAC finds the row.
create table approval (
    id      {identity},
    account bigint not null,
    number  {bytes} not null unique,
    payload {bytes} not null,                  -- sealed: what is asked, the number, the evidence
    state   text   not null default 'waiting', -- waiting, approved, refused, used
    created bigint not null,
    expires bigint not null
);
create index approval_account on approval (account, state);
create index approval_expires on approval (expires);
