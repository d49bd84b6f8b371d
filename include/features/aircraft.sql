-- The register of aircraft; it has no history, so what it says is taken as known since ever.
SELECT tailnum, TIMESTAMPTZ '1970-01-01 00:00:00+00' AS known_at, built AS plane_built, seats AS plane_seats
FROM planes
