-- What was known of a flight $known_before its scheduled departure: one row for each flight.
--
-- Every row that is looked at carries the moment at which it became known, and only rows known at
-- the flight's own moment are used: a later fact can change no feature. A share over a span is the
-- difference of two running tallies, of which the newest known one is found by an ASOF join; tallies
-- are whole numbers, so that no order of adding changes a bit. The longest span is 7 days; $lookback
-- covers it and the flights of that week that ended a day late.
--
-- The barometer is compared with itself six hours before: a level that wanders for weeks is hardly
-- ever the same in two windows, and would cry drift where nothing that matters has changed.
WITH asked AS (
    SELECT *, scheduled_departure - $known_before AS moment
    FROM flights
    WHERE scheduled_departure >= $start AND scheduled_departure < $end
),
lately AS (
    SELECT * FROM flights
    WHERE scheduled_departure >= $start - $lookback AND scheduled_departure < $end
),
-- how flights ended, of each airline and airport: known at arrival
endings AS (
    SELECT side.of, side.name, known_at,
        count(*) OVER tally AS ended,
        sum(late::INTEGER) OVER tally AS late
    FROM lately, LATERAL (
        VALUES ('carrier', carrier), ('dest', dest), ('origin', origin)
    ) AS side(of, name)
    WHERE known_at IS NOT NULL
    WINDOW tally AS (PARTITION BY side.of, side.name ORDER BY known_at)
),
sides AS (
    SELECT flight_id, moment, side.of, side.name
    FROM asked, LATERAL (
        VALUES ('carrier', carrier), ('dest', dest), ('origin', origin)
    ) AS side(of, name)
),
shares AS (
    SELECT flight_id, side.of,
        (now.late - coalesce(hours.late, 0)) / nullif(now.ended - coalesce(hours.ended, 0), 0) AS late_3h,
        (now.late - coalesce(day.late, 0)) / nullif(now.ended - coalesce(day.ended, 0), 0) AS late_1d,
        (now.late - coalesce(week.late, 0)) / nullif(now.ended - coalesce(week.ended, 0), 0) AS late_7d
    FROM sides AS side
    ASOF LEFT JOIN endings AS now
        ON now.of = side.of AND now.name = side.name AND now.known_at <= moment
    ASOF LEFT JOIN endings AS hours
        ON hours.of = side.of AND hours.name = side.name AND hours.known_at <= moment - INTERVAL 3 HOURS
    ASOF LEFT JOIN endings AS day
        ON day.of = side.of AND day.name = side.name AND day.known_at <= moment - INTERVAL 1 DAY
    ASOF LEFT JOIN endings AS week
        ON week.of = side.of AND week.name = side.name AND week.known_at <= moment - INTERVAL 7 DAYS
),
-- how late flights left: known at departure; one plane stuck for a day shall not speak for all
departures AS (
    SELECT origin, departed_at,
        count(*) OVER tally AS gone,
        sum(least(greatest(date_diff('minute', scheduled_departure, departed_at), -15), 180)) OVER tally AS delay
    FROM lately
    WHERE departed_at IS NOT NULL
    WINDOW tally AS (PARTITION BY origin ORDER BY departed_at)
),
queues AS (
    SELECT flight_id,
        (now.delay - coalesce(hours.delay, 0)) / nullif(now.gone - coalesce(hours.gone, 0), 0) AS delay_3h
    FROM (SELECT flight_id, moment, origin FROM asked) AS side
    ASOF LEFT JOIN departures AS now
        ON now.origin = side.origin AND now.departed_at <= moment
    ASOF LEFT JOIN departures AS hours
        ON hours.origin = side.origin AND hours.departed_at <= moment - INTERVAL 3 HOURS
),
-- an hour's observation is out one hour after the hour began; one instrument once claimed 1,048 mph
observations AS (
    SELECT origin, observed_at + INTERVAL 1 HOUR AS known_at, humid, precip, visib, pressure,
        CASE WHEN wind_speed < 150 THEN wind_speed END AS wind_speed,
        coalesce(wind_gust, 0) AS wind_gust
    FROM weather
    WHERE observed_at >= $start - $lookback AND observed_at < $end
),
skies AS (  -- yesterday's weather is no weather
    SELECT flight_id, now.* EXCLUDE (origin, known_at, pressure)
    FROM (SELECT flight_id, moment, origin FROM asked) AS side
    ASOF JOIN observations AS now ON now.origin = side.origin AND now.known_at <= moment
    WHERE now.known_at >= moment - INTERVAL 12 HOURS
),
barometers AS (
    SELECT flight_id, now.pressure - before.pressure AS change_6h
    FROM (SELECT flight_id, moment, origin FROM asked) AS side
    ASOF JOIN (FROM observations WHERE pressure IS NOT NULL) AS now
        ON now.origin = side.origin AND now.known_at <= moment
    ASOF JOIN (FROM observations WHERE pressure IS NOT NULL) AS before
        ON before.origin = side.origin AND before.known_at <= moment - INTERVAL 6 HOURS
    WHERE now.known_at > moment - INTERVAL 6 HOURS AND before.known_at > moment - INTERVAL 12 HOURS
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
    skies.wind_speed,
    skies.wind_gust,
    skies.precip AS precipitation,
    skies.visib AS visibility,
    skies.humid AS humidity,
    barometers.change_6h AS pressure_change_6h,
    queues.delay_3h AS origin_delay_3h,
    of_origin.late_3h AS origin_late_3h,
    of_origin.late_1d AS origin_late_1d,
    of_dest.late_1d AS dest_late_1d,
    of_dest.late_7d AS dest_late_7d,
    of_carrier.late_1d AS carrier_late_1d,
    of_carrier.late_7d AS carrier_late_7d
FROM asked
JOIN (FROM shares WHERE of = 'origin') AS of_origin USING (flight_id)
JOIN (FROM shares WHERE of = 'dest') AS of_dest USING (flight_id)
JOIN (FROM shares WHERE of = 'carrier') AS of_carrier USING (flight_id)
JOIN queues USING (flight_id)
LEFT JOIN skies USING (flight_id)
LEFT JOIN barometers USING (flight_id)
LEFT JOIN planes USING (tailnum)
