-- What was read of the metadata of SAML applications and identity providers, from their addresses.
create table saml_metadata (
    party   text    primary key, -- application or upstream, a slash, and its name
    payload {bytes} not null,    -- sealed: what a pinned key signed, and when it was read
    version bigint  not null
) {keyed};
