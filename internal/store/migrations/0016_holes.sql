-- What happened once and for good, such as that there has been an administrator. A
-- row that is there counts, also one that is not believed: deleting it is all that
-- could help anybody, and the audit log then says it instead.
create table milestone (
    name    text   primary key,
    account bigint not null default 0,
    at      bigint not null,
    mac     {bytes} not null
) {keyed};
