-- The sky over each origin: an hour's observation is out one hour after the hour began. One instrument
-- once claimed 1,048 mph.
SELECT
    origin,
    observed_at + INTERVAL 1 HOUR AS known_at,
    CASE WHEN wind_speed < 150 THEN wind_speed END AS wind_speed,
    coalesce(wind_gust, 0) AS wind_gust,
    precip AS precipitation,
    visib AS visibility,
    humid AS humidity
FROM weather
WHERE observed_at >= $start - $lookback AND observed_at < $end
