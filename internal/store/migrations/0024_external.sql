-- By which identifier a provisioning client, a service account, knows a person or a group
-- (RFC 7643, section 3.1, externalId). It is the client's own word, and nothing decides by it.
create table external_id (
    id      {identity},
    client  bigint not null,
    kind    text   not null,  -- user, group
    subject bigint not null,  -- the number of the account or of the group
    value   text   not null,
    version bigint not null,
    mac     {bytes} not null,
    unique (client, kind, subject)
);
create index external_id_value on external_id (client, kind, value);
create index external_id_subject on external_id (kind, subject);
-- Provisioning clients look people up by their mail address, in whatever case.
create index address_mail on address (lower(address));
