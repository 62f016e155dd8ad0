-- Approvals that an app is woken for, at most once each, and what became of it:
-- the row is the count that closes pushes when nobody answers them.
create table wake (
    approval bigint primary key,
    account  bigint not null,
    state    text   not null, -- waiting, sent, held, told, disowned
    created  bigint not null
);
create index wake_account on wake (account, created);
create index wake_state on wake (state);

-- The key that push services know us by. One row.
create table push_key (
    id      bigint  primary key,
    payload {bytes} not null, -- sealed
    created bigint  not null
);
