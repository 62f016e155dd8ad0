-- Short messages that wait for their gateway. What was sent, or is over, is gone.
create table message (
    id      {identity},
    account bigint  not null,
    payload {bytes} not null, -- sealed: number and text
    tries   integer not null default 0,
    due     bigint  not null,
    expires bigint  not null
);
create index message_due on message (due);

-- When a code was sent to whom and for whom: the rows are the budget.
create table sent (
    account bigint not null,
    source  text   not null,
    at      bigint not null
);
create index sent_account on sent (account, at);
create index sent_source on sent (source, at);
