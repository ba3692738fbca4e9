-- The life of each generation on each gateway; states and transitions are fleet-core's.
create table activations (
    gateway uuid not null references gateways,
    generation bigint not null check (generation >= 1),
    -- The rollout that assigned it; null: a placement.
    rollout uuid,
    direction text not null check (direction in ('forward', 'back', 'placement')),
    config text not null,
    revision bigint not null,
    digest bytea not null check (octet_length(digest) = 32),
    state text not null check (state in ('assigned', 'offered', 'active', 'proven', 'rejected', 'timed_out',
        'superseded', 'rolled_back')),
    -- Of a refusal: where it happened, why, and in which start of which agent.
    stage text,
    reason text not null default '',
    findings jsonb not null default '[]',
    boot_id uuid,
    agent_version text,
    warnings jsonb not null default '[]',
    validate_micros bigint,
    activate_micros bigint,
    assigned_at timestamptz not null default now(),
    offered_at timestamptz,
    -- Silence after this is an answer.
    expires_at timestamptz,
    active_at timestamptz,
    -- When it got its present state.
    state_at timestamptz not null default now(),
    primary key (gateway, generation),
    foreign key (config, revision) references config_revisions (name, revision),
    constraint activations_stage check ((state = 'rejected') = (stage is not null))
);

create index activations_expiring on activations (expires_at) where state = 'offered';
create index activations_open on activations (gateway) where state in ('assigned', 'offered', 'timed_out');
