-- Full TimescaleDB (2.18 or newer): a hypertable of the seconds that turns columnar after two weeks, when a session is rarely measured again.
-- It has no row security, which the columnstore and continuous aggregates refuse. No retention policy, here as on the other levels:
-- how somebody spoke years ago is what they want to compare with, and deleting a session deletes its rows.

create schema ts;

create table ts.seconds (
    org_id uuid not null,
    session_id uuid not null,
    ts timestamptz not null, -- start of the series + t_s
    t_s integer not null,
    over_s double precision,
    words integer,
    syllables integer,
    fillers integer,
    pause_s double precision,
    speech_s double precision,
    lost_s double precision,
    f0_median_hz double precision,
    f0_span_st double precision,
    level_dbfs double precision,
    primary key (org_id, session_id, ts)
);
select create_hypertable('ts.seconds', by_range('ts', interval '7 days'), create_default_indexes => false);

alter table ts.seconds set (
    timescaledb.enable_columnstore, timescaledb.segmentby = 'org_id, session_id', timescaledb.orderby = 'ts'
);
call add_columnstore_policy('ts.seconds', after => interval '14 days');

create function ts.make_room(first timestamptz, last timestamptz) returns void language sql as ''; -- chunks are made on insert
