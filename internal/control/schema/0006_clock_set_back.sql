-- After the server's clock was set back, the last change of status lies ahead for a while. What was counted since
-- does not, and tells the speed all the same.
CREATE OR REPLACE VIEW bbm.progress AS
SELECT m.id, m.name, m.job_signature_name, m.table_name, m.status, m.status_reason,
  c.rows_done, c.keys_done, c.batches_done, m.total_tuple_count,
  CASE WHEN m.status = 'finished' THEN 100.0
       ELSE round(least(coalesce(c.percent::numeric, 100.0 * c.keys_done / nullif(greatest(m.total_tuple_count, 0), 0), 0.0), 99.9), 1) END AS percent,
  r.keys_per_second,
  CASE WHEN m.status_reason IS NULL AND m.total_tuple_count > c.keys_done
    THEN make_interval(secs => (m.total_tuple_count - c.keys_done) / nullif(r.keys_per_second, 0)) END AS time_left,
  f.failed_jobs, q.quarantined, c.batch_size, c.p90_ms, c.batch_size_reason,
  CASE WHEN m.status = 'running' THEN c.throttled END AS throttled, m.error_message, m.error_sqlstate, m.created_at, m.started_at, m.finished_at,
  coalesce(m.finished_at, clock_timestamp()) - m.started_at AS elapsed,
  s.since AS status_since, greatest(m.updated_at, c.updated_at) AS updated_at
FROM bbm.batched_background_migrations m
CROSS JOIN LATERAL (
  SELECT m.rows_done + coalesce(sum(rows), 0)::bigint AS rows_done, m.keys_done + coalesce(sum(keys), 0)::bigint AS keys_done,
    m.batches_done + coalesce(sum(batches), 0)::bigint AS batches_done, max(percent) AS percent, max(updated_at) AS updated_at,
    (array_agg(batch_size ORDER BY updated_at DESC))[1] AS batch_size, (array_agg(p90_ms ORDER BY updated_at DESC))[1] AS p90_ms,
    (array_agg(batch_size_reason ORDER BY updated_at DESC))[1] AS batch_size_reason,
    (array_agg(throttled ORDER BY updated_at DESC))[1] AS throttled
  FROM bbm.counters WHERE batched_background_migration_id = m.id) c
CROSS JOIN LATERAL (SELECT (
  SELECT at FROM bbm.transitions WHERE batched_background_migration_id = m.id ORDER BY id DESC LIMIT 1) AS since) s
-- Of those who have counted since it became running, and not so long ago that they may be gone.
CROSS JOIN LATERAL (
  SELECT sum((earlier_keys + window_keys) / nullif(extract(epoch FROM greatest(updated_at, clock_timestamp() - interval '3 seconds') - start)::float8, 0)) AS keys_per_second
  FROM bbm.counters CROSS JOIN LATERAL (SELECT coalesce(earlier_start, window_start) AS start) w
  WHERE batched_background_migration_id = m.id AND m.status = 'running' AND (start >= s.since OR s.since > clock_timestamp() AND updated_at <= clock_timestamp()) AND updated_at >= start + interval '0.5 seconds'
    AND updated_at > clock_timestamp() - interval '5 seconds' - coalesce(3 * p90_ms, 25000) * interval '1 millisecond') r
CROSS JOIN LATERAL (
  SELECT count(*) AS failed_jobs FROM bbm.batched_background_migration_jobs
  WHERE batched_background_migration_id = m.id AND status = 'failed') f
CROSS JOIN LATERAL (SELECT count(*) AS quarantined FROM bbm.quarantine WHERE batched_background_migration_id = m.id) q;
