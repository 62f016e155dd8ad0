-- Shared signals: the streams on which we tell others, and the sources by which others tell us.
-- What they are set to, and what became of them, is in the payload.
create table signal_party (
    id      {identity},
    kind    text    not null, -- stream or source
    name    text    not null,
    payload {bytes} not null, -- sealed
    version bigint  not null,
    unique (kind, name)
);
-- How far a stream has come in the audit log.
create table signal_position (
    stream  bigint  primary key,
    begun   bigint  not null, -- the entry that it began with
    next    bigint  not null, -- the first entry of which it does not have all
    acked   text    not null, -- which of those from there on it has
    told    bigint  not null, -- the last change of its status of which its receiver was told
    failing bigint  not null, -- since when it takes nothing; 0 while it does
    holder  text    not null, -- the server that sends, and until when
    until   bigint  not null,
    mac     {bytes} not null
) {keyed};
