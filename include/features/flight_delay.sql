-- What was known of a flight $known_before its scheduled departure: one row for each flight.
-- The longest share spans 7 days; $lookback covers it and the flights of that week that ended a day late.
--
-- Every row that is looked at carries the moment at which it became known, and only rows known at
-- the flight's own moment are used: a later fact can change no feature. Shares over a span are the
-- difference of two running tallies, of which the newest known one is found by an ASOF join; tallies
-- are whole numbers, so that no order of adding changes a bit.
WITH asked AS (
    SELECT *, scheduled_departure - $known_before AS moment
    FROM flights
    WHERE scheduled_departure >= $start AND scheduled_departure < $end
),
lately AS (
    SELECT * FROM flights
    WHERE scheduled_departure >= $start - $lookback AND scheduled_departure < $end
),
-- how flights ended: known at arrival
by_carrier AS (
    SELECT carrier, known_at, count(*) OVER tally AS ended, sum(late::INTEGER) OVER tally AS late
    FROM lately WHERE known_at IS NOT NULL
    WINDOW tally AS (PARTITION BY carrier ORDER BY known_at)
),
by_dest AS (
    SELECT dest, known_at, count(*) OVER tally AS ended, sum(late::INTEGER) OVER tally AS late
    FROM lately WHERE known_at IS NOT NULL
    WINDOW tally AS (PARTITION BY dest ORDER BY known_at)
),
by_origin AS (
    SELECT origin, known_at, count(*) OVER tally AS ended, sum(late::INTEGER) OVER tally AS late
    FROM lately WHERE known_at IS NOT NULL
    WINDOW tally AS (PARTITION BY origin ORDER BY known_at)
),
-- how late they left: known at departure; one plane stuck for a day shall not speak for all
queue AS (
    SELECT origin, departed_at, count(*) OVER tally AS gone,
        sum(least(greatest(date_diff('minute', scheduled_departure, departed_at), -15), 180)) OVER tally AS delay
    FROM lately WHERE departed_at IS NOT NULL
    WINDOW tally AS (PARTITION BY origin ORDER BY departed_at)
),
-- an hour's observation is out one hour after the hour began; one instrument once claimed 1,048 mph
sky AS (
    SELECT origin, observed_at + INTERVAL 1 HOUR AS known_at, humid, precip, pressure, visib,
        CASE WHEN wind_speed < 150 THEN wind_speed END AS wind_speed,
        coalesce(wind_gust, 0) AS wind_gust
    FROM weather
    WHERE observed_at >= $start - $lookback AND observed_at < $end
),
of_carrier AS (
    SELECT flight_id,
        (now.late - coalesce(day.late, 0)) / nullif(now.ended - coalesce(day.ended, 0), 0) AS late_1d,
        (now.late - coalesce(week.late, 0)) / nullif(now.ended - coalesce(week.ended, 0), 0) AS late_7d
    FROM (SELECT flight_id, moment, carrier FROM asked) AS asked
    ASOF LEFT JOIN by_carrier AS now
        ON asked.carrier = now.carrier AND asked.moment >= now.known_at
    ASOF LEFT JOIN by_carrier AS day
        ON asked.carrier = day.carrier AND asked.moment - INTERVAL 1 DAY >= day.known_at
    ASOF LEFT JOIN by_carrier AS week
        ON asked.carrier = week.carrier AND asked.moment - INTERVAL 7 DAYS >= week.known_at
),
of_dest AS (
    SELECT flight_id,
        (now.late - coalesce(day.late, 0)) / nullif(now.ended - coalesce(day.ended, 0), 0) AS late_1d,
        (now.late - coalesce(week.late, 0)) / nullif(now.ended - coalesce(week.ended, 0), 0) AS late_7d
    FROM (SELECT flight_id, moment, dest FROM asked) AS asked
    ASOF LEFT JOIN by_dest AS now
        ON asked.dest = now.dest AND asked.moment >= now.known_at
    ASOF LEFT JOIN by_dest AS day
        ON asked.dest = day.dest AND asked.moment - INTERVAL 1 DAY >= day.known_at
    ASOF LEFT JOIN by_dest AS week
        ON asked.dest = week.dest AND asked.moment - INTERVAL 7 DAYS >= week.known_at
),
of_origin AS (
    SELECT flight_id,
        (now.late - coalesce(hours.late, 0)) / nullif(now.ended - coalesce(hours.ended, 0), 0) AS late_3h,
        (now.late - coalesce(day.late, 0)) / nullif(now.ended - coalesce(day.ended, 0), 0) AS late_1d,
        (now.late - coalesce(week.late, 0)) / nullif(now.ended - coalesce(week.ended, 0), 0) AS late_7d
    FROM (SELECT flight_id, moment, origin FROM asked) AS asked
    ASOF LEFT JOIN by_origin AS now
        ON asked.origin = now.origin AND asked.moment >= now.known_at
    ASOF LEFT JOIN by_origin AS hours
        ON asked.origin = hours.origin AND asked.moment - INTERVAL 3 HOURS >= hours.known_at
    ASOF LEFT JOIN by_origin AS day
        ON asked.origin = day.origin AND asked.moment - INTERVAL 1 DAY >= day.known_at
    ASOF LEFT JOIN by_origin AS week
        ON asked.origin = week.origin AND asked.moment - INTERVAL 7 DAYS >= week.known_at
),
of_queue AS (
    SELECT flight_id,
        (now.delay - coalesce(hours.delay, 0)) / nullif(now.gone - coalesce(hours.gone, 0), 0) AS delay_3h
    FROM (SELECT flight_id, moment, origin FROM asked) AS asked
    ASOF LEFT JOIN queue AS now
        ON asked.origin = now.origin AND asked.moment >= now.departed_at
    ASOF LEFT JOIN queue AS hours
        ON asked.origin = hours.origin AND asked.moment - INTERVAL 3 HOURS >= hours.departed_at
),
of_sky AS (
    SELECT asked.flight_id, sky.* EXCLUDE (origin, known_at)
    FROM (SELECT flight_id, moment, origin FROM asked) AS asked
    ASOF JOIN sky ON asked.origin = sky.origin AND asked.moment >= sky.known_at
    WHERE asked.moment - sky.known_at < INTERVAL 12 HOURS  -- yesterday's weather is no weather
)
SELECT
    asked.flight_id,
    asked.scheduled_departure,
    asked.late,
    asked.known_at,
    asked.carrier,
    asked.origin,
    asked.dest,
    asked.hour + asked.minute / 60 AS departure_hour,
    asked.weekday,
    date_diff('minute', asked.scheduled_departure, asked.scheduled_arrival) AS scheduled_minutes,
    asked.distance,
    date_part('year', asked.scheduled_departure) - planes.built AS plane_age,
    planes.seats AS plane_seats,
    of_sky.wind_speed,
    of_sky.wind_gust,
    of_sky.precip AS precipitation,
    of_sky.visib AS visibility,
    of_sky.humid AS humidity,
    of_sky.pressure,
    of_carrier.late_1d AS carrier_late_1d,
    of_carrier.late_7d AS carrier_late_7d,
    of_dest.late_1d AS dest_late_1d,
    of_dest.late_7d AS dest_late_7d,
    of_origin.late_3h AS origin_late_3h,
    of_origin.late_1d AS origin_late_1d,
    of_origin.late_7d AS origin_late_7d,
    of_queue.delay_3h AS origin_delay_3h
FROM asked
JOIN of_carrier USING (flight_id)
JOIN of_dest USING (flight_id)
JOIN of_origin USING (flight_id)
JOIN of_queue USING (flight_id)
LEFT JOIN of_sky USING (flight_id)
LEFT JOIN planes USING (tailnum)
