-- Fleets, each with the config it is bound to and its stable revision, and the gateways in them.
create table fleets (
    name text primary key,
    config text references configs,
    stable_revision bigint,
    stable_by text check (stable_by in ('declared', 'succeeded')),
    stable_at timestamptz,
    created_at timestamptz not null default now(),
    constraint fleets_stable foreign key (config, stable_revision) references config_revisions (name, revision),
    constraint fleets_stable_whole check (
        (config is null) = (stable_revision is null)
        and (config is null) = (stable_by is null)
        and (config is null) = (stable_at is null)
    )
);

create table gateways (
    id uuid primary key,
    fleet text not null references fleets,
    name text not null,
    labels jsonb not null default '{}',
    agent_version text not null,
    -- The newest stream: one start of the agent's process, and which of its streams.
    boot_id uuid,
    session_counter bigint not null default 0,
    attached boolean not null default false,
    last_seen timestamptz,
    -- Since when the history calls it lost.
    lost_at timestamptz,
    -- What it said it runs.
    observed_generation bigint,
    observed_digest bytea check (octet_length(observed_digest) = 32),
    observed_version text,
    observed_since timestamptz,
    pinned boolean not null default false,
    enrolled_at timestamptz not null default now(),
    constraint gateways_name unique (fleet, name),
    constraint gateways_observed_whole check (
        (observed_generation is null) = (observed_digest is null)
        and (observed_generation is null) = (observed_version is null)
        and (observed_generation is null) = (observed_since is null)
    )
)
-- Who was heard of is written again and again: no index on it, and room to update in place.
with (fillfactor = 70);
