-- The barometer of each origin, compared with itself six hours before: a level that wanders for weeks is
-- hardly ever the same in two windows, and would cry drift where nothing that matters has changed.
-- A row whenever the difference may change: when an observation comes out, when it is the one of six hours
-- ago, and when it is older than six hours in that place too.
WITH readings AS (
    SELECT origin, observed_at + INTERVAL 1 HOUR AS known_at, pressure
    FROM weather
    WHERE pressure IS NOT NULL AND observed_at >= $start - $lookback AND observed_at < $end
),
moments AS (
    SELECT DISTINCT origin, known_at + age AS known_at
    FROM readings, (VALUES (INTERVAL 0 HOURS), (INTERVAL 6 HOURS), (INTERVAL 12 HOURS)) AS ages(age)
)
SELECT
    moments.origin,
    moments.known_at,
    CASE
        WHEN now.known_at > moments.known_at - INTERVAL 6 HOURS
            AND before.known_at > moments.known_at - INTERVAL 12 HOURS
        THEN now.pressure - before.pressure
    END AS pressure_change_6h
FROM moments
ASOF LEFT JOIN readings AS now
    ON now.origin = moments.origin AND now.known_at <= moments.known_at
ASOF LEFT JOIN readings AS before
    ON before.origin = moments.origin AND before.known_at <= moments.known_at - INTERVAL 6 HOURS
