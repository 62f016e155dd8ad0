-- When somebody's apps are not woken. At most a push is missed.
create table quiet (
    account bigint  primary key,
    begins  integer not null, -- minutes after midnight in that zone
    ends    integer not null,
    zone    text    not null
);
