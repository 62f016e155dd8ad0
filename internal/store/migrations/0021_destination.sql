-- How far the audit log was sent to each destination, and which server sends now.
create table destination (
    name   text    primary key,
    begun  bigint  not null, -- the entry that it began with
    next   bigint  not null, -- the first entry that it does not have
    holder text    not null, -- the server that sends
    until  bigint  not null, -- until when no other one does
    mac    {bytes} not null
) {keyed};
