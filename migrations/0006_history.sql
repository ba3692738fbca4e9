-- Facts, append-only. `seq` comes from the locked head row, which every writing transaction updates last: no gaps,
-- in commit order, so one number is a cursor that never skips.
create table history_head (
    singleton boolean primary key default true check (singleton),
    seq bigint not null
);
insert into history_head (seq) values (0);

create table history (
    seq bigint primary key,
    at timestamptz not null,
    kind text not null check (kind in ('config_pushed', 'rollout_started', 'rollout_ended', 'wave_started',
        'activation', 'gateway_enrolled', 'gateway_lost', 'gateway_returned', 'pinned', 'unpinned', 'refused')),
    actor text not null,
    fleet text,
    gateway_id uuid,
    gateway text,
    config text,
    revision bigint,
    generation bigint,
    version text,
    digest bytea,
    outcome text not null default '',
    reason text not null default '',
    detail jsonb not null default '{}'
);

create index history_fleet on history (fleet, seq);
create index history_gateway on history (gateway, seq);
create index history_config on history (config, seq);
create index history_kind on history (kind, seq);
create index history_at on history (at);
create index history_in_force on history (gateway_id, at desc, seq desc)
    where kind = 'activation' and outcome = 'active';

create trigger history_immutable before update on history
    for each row execute function refuse_change();
