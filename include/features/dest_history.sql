-- How flights of each destination ended of late: a row whenever a share changes, which is when an ending
-- becomes known, and again when it leaves the span. Whole numbers are added, so that no order of
-- adding changes a bit. $lookback covers the longest span and the flights that ended a day late.
WITH endings AS (
    SELECT dest, known_at, count(*) AS ended, sum(late::INTEGER) AS late
    FROM flights
    WHERE known_at IS NOT NULL
        AND scheduled_departure >= $start - $lookback AND scheduled_departure < $end
    GROUP BY ALL
),
steps AS (
    SELECT dest, known_at, ended AS ended_1d, late AS late_1d, ended AS ended_7d, late AS late_7d FROM endings
    UNION ALL
    SELECT dest, known_at + INTERVAL 1 DAY, -ended, -late, 0, 0 FROM endings
    UNION ALL
    SELECT dest, known_at + INTERVAL 7 DAYS, 0, 0, -ended, -late FROM endings
)
SELECT DISTINCT
    dest,
    known_at,
    sum(late_1d) OVER tally / nullif(sum(ended_1d) OVER tally, 0) AS dest_late_1d,
    sum(late_7d) OVER tally / nullif(sum(ended_7d) OVER tally, 0) AS dest_late_7d
FROM steps
WINDOW tally AS (PARTITION BY dest ORDER BY known_at)
