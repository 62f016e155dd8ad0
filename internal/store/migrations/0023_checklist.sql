-- What the checklist of administrators cannot read from elsewhere: by which server and sender
-- the last test mail was taken, and that the list was put away. It gives nobody any power.
create table checklist (
    item text   primary key, -- "mail" or "away"
    says text   not null,    -- of mail, the server and the sender
    at   bigint not null
);
