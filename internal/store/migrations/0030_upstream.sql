-- Other organisations' identity providers at which people sign in first.
create table upstream (
    id      {identity},
    name    text    not null unique,
    payload {bytes} not null, -- sealed
    version bigint  not null
);
