-- How flights of each origin left and ended of late: a row whenever a mean or a share changes, which
-- is when a departure or an ending becomes known, and again when it leaves the span. One plane that is
-- stuck for a day shall not speak for all, so delays are cut at three hours.
WITH lately AS (
    SELECT * FROM flights
    WHERE scheduled_departure >= $start - $lookback AND scheduled_departure < $end
),
endings AS (
    SELECT origin, known_at, count(*) AS ended, sum(late::INTEGER) AS late
    FROM lately
    WHERE known_at IS NOT NULL
    GROUP BY ALL
),
departures AS (
    SELECT origin, departed_at, count(*) AS gone,
        sum(least(greatest(date_diff('minute', scheduled_departure, departed_at), -15), 180)) AS delay
    FROM lately
    WHERE departed_at IS NOT NULL
    GROUP BY ALL
),
steps AS (
    SELECT origin, known_at, ended AS ended_3h, late AS late_3h, ended AS ended_1d, late AS late_1d,
        0 AS gone_3h, 0 AS delay_3h
    FROM endings
    UNION ALL
    SELECT origin, known_at + INTERVAL 3 HOURS, -ended, -late, 0, 0, 0, 0 FROM endings
    UNION ALL
    SELECT origin, known_at + INTERVAL 1 DAY, 0, 0, -ended, -late, 0, 0 FROM endings
    UNION ALL
    SELECT origin, departed_at, 0, 0, 0, 0, gone, delay FROM departures
    UNION ALL
    SELECT origin, departed_at + INTERVAL 3 HOURS, 0, 0, 0, 0, -gone, -delay FROM departures
)
SELECT DISTINCT
    origin,
    known_at,
    sum(delay_3h) OVER tally / nullif(sum(gone_3h) OVER tally, 0) AS origin_delay_3h,
    sum(late_3h) OVER tally / nullif(sum(ended_3h) OVER tally, 0) AS origin_late_3h,
    sum(late_1d) OVER tally / nullif(sum(ended_1d) OVER tally, 0) AS origin_late_1d
FROM steps
WINDOW tally AS (PARTITION BY origin ORDER BY known_at)
