-- Rollouts, their waves and their members. `step_seq` is the compare-and-set of every step.
create table rollouts (
    id uuid primary key,
    kind text not null check (kind in ('deploy')),
    fleet text not null references fleets,
    config text not null,
    revision bigint not null,
    state text not null check (state in ('planned', 'advancing', 'reverting', 'succeeded', 'halted', 'reverted',
        'aborted')),
    reason text not null default '',
    bake_ms bigint not null check (bake_ms >= 0),
    deadline_ms bigint not null check (deadline_ms > 0),
    step_seq bigint not null default 0,
    created_at timestamptz not null default now(),
    created_by text not null,
    started_at timestamptz,
    bake_since timestamptz,
    reverting_since timestamptz,
    ended_at timestamptz,
    -- The counts as they were when it breached.
    settled jsonb,
    -- What the fleet was bound to before this rollout bound it anew; it is bound to that again if none keeps it.
    replaced_config text,
    replaced_revision bigint,
    replaced_by text,
    replaced_at timestamptz,
    foreign key (config, revision) references config_revisions (name, revision),
    constraint rollouts_ended check ((state in ('succeeded', 'halted', 'reverted', 'aborted')) = (ended_at is not null))
);

create unique index rollouts_one_open on rollouts (fleet) where state in ('planned', 'advancing', 'reverting');
create index rollouts_newest on rollouts (fleet, created_at desc, id desc);
create index rollouts_newest_of_all on rollouts (created_at desc, id desc);

create table waves (
    rollout uuid not null references rollouts,
    index integer not null check (index >= 1),
    state text not null check (state in ('planned', 'open', 'baking', 'passed', 'breached', 'aborted')),
    targets integer not null default 0,
    primary key (rollout, index)
);

-- Membership is fixed when the wave starts.
create table rollout_members (
    rollout uuid not null references rollouts,
    gateway uuid not null,
    wave integer not null default 1,
    -- The activation that counts for this rollout; an older one when the gateway ran the revision already.
    generation bigint not null,
    -- The activation of the way back.
    back_generation bigint,
    -- What it goes back to; null: it had nothing else.
    previous_config text,
    previous_revision bigint,
    primary key (rollout, gateway),
    foreign key (gateway, generation) references activations (gateway, generation),
    foreign key (previous_config, previous_revision) references config_revisions (name, revision)
);
