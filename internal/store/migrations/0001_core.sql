-- One text for both engines. Tokens: {identity} is the generated integer
-- primary key, {bytes} the binary type, {keyed} a table of few words a row,
-- which lies in the order of its key where the engine can do that. Times are
-- integers: microseconds since 1970, and 0 means never. Every row that makes
-- somebody powerful has a mac.

create table account (
    id       {identity},
    name     text   not null unique,          -- canonical spelling
    display  text   not null default '',
    kind     text   not null default 'person', -- person, service
    state    text   not null default 'active', -- active, suspended
    handle   {bytes} not null unique,          -- random, what authenticators see
    created  bigint not null,
    used     bigint not null default 0,        -- last granted sign-in
    mac      {bytes} not null
);

-- Every spelling that leads to an account, in canonical form; the name itself
-- is one of them. One row a spelling, so two accounts can never share one.
create table account_alias (
    alias   text   primary key,
    account bigint not null
) {keyed};
create index account_alias_account on account_alias (account);

create table address (
    account  bigint not null,
    kind     text   not null,                  -- mail, phone
    address  text   not null,
    verified bigint not null default 0,
    primary key (account, kind, address)
) {keyed};

create table team (
    id         {identity},
    name       text   not null unique,
    display    text   not null default '',
    privileged bigint not null default 0,      -- members administer Countersign or the like
    created    bigint not null,
    mac        {bytes} not null
);

create table membership (
    team    bigint not null,
    account bigint not null,
    created bigint not null,
    mac     {bytes} not null,
    primary key (account, team)
) {keyed};
create index membership_team on membership (team);

create table credential (
    id         {identity},
    account    bigint not null,
    kind       text   not null,
    label      text   not null default '',
    handle     text,                           -- null, or unique in its kind
    traits     text   not null,
    state      {bytes} not null,               -- sealed
    status     text   not null default 'active', -- active, disabled, lost, revoked
    quarantine bigint not null default 0,      -- no privileged action before this moment
    version    bigint not null default 1,
    created    bigint not null,
    used       bigint not null default 0,
    mac        {bytes} not null,
    unique (kind, handle)
);
create index credential_account on credential (account);

-- What was accepted and can never be accepted again.
create table spent (
    credential bigint not null,
    once       text   not null,
    at         bigint not null,
    primary key (credential, once)
) {keyed};

-- Guess budgets of credentials, accounts, sources and the installation.
create table guess (
    subject text   primary key,
    count   bigint not null,
    since   bigint not null,                   -- start of the window
    retry   bigint not null default 0
) {keyed};

create table attempt (
    handle  {bytes} primary key,               -- hash of the secret part
    step    bigint not null,
    account bigint not null default 0,
    payload {bytes} not null,                  -- sealed
    created bigint not null,
    expires bigint not null
);
create index attempt_expires on attempt (expires);

create table ticket (
    hash    {bytes} primary key,
    kind    text   not null,
    owner   bigint not null default 0,
    payload {bytes} not null,                  -- sealed
    created bigint not null,
    expires bigint not null
);
create index ticket_expires on ticket (expires);
create index ticket_owner on ticket (owner, kind);

create table session (
    id       {bytes} primary key,              -- hash of the secret
    number   text   not null unique,           -- what people and audit call it
    account  bigint not null,
    parent   text   not null default '',       -- number of the session it hangs from
    host     text   not null default '',       -- the host that its cookie serves; '' is our own
    payload  {bytes} not null,                 -- sealed evidence
    source   text   not null default '',
    agent    text   not null default '',
    created  bigint not null,
    seen     bigint not null,
    expires  bigint not null,
    ended    bigint not null default 0
);
create index session_account on session (account, ended);
create index session_expires on session (expires);

create table application (
    id       {identity},
    name     text   not null unique,
    title    text   not null default '',
    kind     text   not null,                  -- web, vpn, network-device, ...
    tier     text   not null default 'standard', -- standard, control-plane
    protocol text   not null,                  -- forward-auth, radius, ...
    vouches  text   not null default '',       -- what it checks by itself: '' or password
    settings {bytes} not null,                 -- sealed: the protocol's own, strict JSON
    created  bigint not null,
    changed  bigint not null,
    mac      {bytes} not null
);

create table policy (
    version {identity},
    body    text   not null,
    author  text   not null,
    created bigint not null,
    mac     {bytes} not null
);

create table api_key (
    id      {identity},
    name    text   not null unique,
    hash    {bytes} not null unique,
    actions text   not null,                   -- JSON list
    networks text  not null,                   -- JSON list of prefixes
    created bigint not null,
    expires bigint not null,
    used    bigint not null default 0,
    mac     {bytes} not null
);

create table known_source (
    account bigint not null,
    source  text   not null,
    seen    bigint not null,
    primary key (account, source)
) {keyed};

create table notice (
    id      {identity},
    account bigint not null,
    address text   not null,
    subject text   not null,
    body    text   not null,
    created bigint not null,
    due     bigint not null,
    tries   bigint not null default 0,
    state   text   not null default 'waiting'  -- waiting, sent, failed
);
create index notice_due on notice (state, due);

create table wrapped_key (
    id      {identity},
    purpose text   not null,
    wrapped {bytes} not null,
    created bigint not null,
    retired bigint not null default 0
);

create table drill (
    technique text   primary key,
    at        bigint not null,
    outcome   text   not null,
    report    text   not null,
    mac       {bytes} not null
);

-- The audit log. An entry's number is its place in the tree, from 0.
create table audit_entry (
    seq     bigint primary key,
    at      bigint not null,
    account bigint not null,
    body    {bytes} not null,                  -- the leaf: canonical JSON
    mac     {bytes} not null
);
create index audit_entry_account on audit_entry (account, seq);

-- Entries that wait to be numbered, where several servers write (PostgreSQL).
create table audit_inbox (
    id   {identity},
    body {bytes} not null,
    mac  {bytes} not null
);

create table audit_tree (
    id       bigint primary key,               -- always 1
    size     bigint not null,
    frontier {bytes} not null,
    mac      {bytes} not null
);

create table audit_checkpoint (
    size bigint primary key,
    at   bigint not null,
    note text   not null
);

-- What changed, for every server's memory: "session/NUMBER", "account/7", ...
create table feed (
    id    {identity},
    topic text   not null,
    at    bigint not null
);
