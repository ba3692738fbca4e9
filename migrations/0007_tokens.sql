-- Who may call, by the hash of a bearer token; answers to repeated requests; the identity of this database.
create table tokens (
    hash bytea primary key check (octet_length(hash) = 32),
    role text not null check (role in ('operator', 'agent')),
    gateway uuid references gateways,
    created_at timestamptz not null default now(),
    constraint tokens_agent check ((role = 'agent') = (gateway is not null))
);

create index tokens_gateway on tokens (gateway);

create table idempotency_keys (
    principal text not null,
    key text not null,
    request bytea not null check (octet_length(request) = 32),
    response jsonb,
    at timestamptz not null default now(),
    primary key (principal, key)
);

-- Generations of another lineage mean nothing here: a restored or recreated database must have a new one.
create table lineage (
    singleton boolean primary key default true check (singleton),
    id uuid not null default gen_random_uuid()
);
insert into lineage default values;
