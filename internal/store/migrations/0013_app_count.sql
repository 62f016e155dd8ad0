-- How often each app has spoken, and the digest of its last signature: a key that
-- speaks from two devices counts twice.
create table app_count (
    credential bigint primary key,
    account    bigint not null,
    count      bigint not null,
    last       {bytes} not null
);
create index app_count_account on app_count (account);
