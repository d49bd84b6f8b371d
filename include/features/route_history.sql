-- By how many minutes flights of each route arrived late of late: a row whenever the mean changes, which is
-- when an arrival becomes known, and again when it leaves the week. Whole minutes are added, so that no order
-- of adding changes a bit; one plane that is stuck for a day shall not speak for all, so they are cut at three
-- hours. $lookback covers the week and the flights that ended a day late.
WITH arrivals AS (
    SELECT route, known_at, count(*) AS ended,
        sum(least(greatest(arrival_minutes, -60), 180)::INTEGER) AS minutes
    FROM flights
    WHERE known_at IS NOT NULL
        AND scheduled_departure >= $start - $lookback AND scheduled_departure < $end
    GROUP BY ALL
),
steps AS (
    SELECT route, known_at, ended, minutes FROM arrivals
    UNION ALL
    SELECT route, known_at + INTERVAL 7 DAYS, -ended, -minutes FROM arrivals
)
SELECT DISTINCT
    route,
    known_at,
    sum(minutes) OVER tally / nullif(sum(ended) OVER tally, 0) AS route_minutes_7d,
    (sum(ended) OVER tally)::DOUBLE AS route_flights_7d
FROM steps
WINDOW tally AS (PARTITION BY route ORDER BY known_at)
