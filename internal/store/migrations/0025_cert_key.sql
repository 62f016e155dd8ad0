-- The private keys that others know by a certificate, by what they sign: the one that signs,
-- the one that is announced to sign next, and the one that signed before.
create table cert_key (
    purpose text    primary key,
    payload {bytes} not null, -- sealed
    version bigint  not null
) {keyed};
-- Which applications were told of a session by a name of their own, so that they can be told
-- when it ends.
create table participant (
    id      {bytes} primary key, -- the hash of the index that the application knows
    account bigint  not null,
    session text    not null,    -- its number
    subject {bytes} not null,    -- a MAC of the application and the name that it was told
    payload {bytes} not null,    -- sealed
    expires bigint  not null
) {keyed};
create index participant_session on participant (session);
create index participant_subject on participant (subject);
create index participant_account on participant (account);
create index participant_expires on participant (expires);
