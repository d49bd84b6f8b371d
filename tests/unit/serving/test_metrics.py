"""What Prometheus is told."""

from prometheus_client import generate_latest

from nightshift.serving.metrics import BOUNDS, Metrics


def test_requests_rows_and_times_are_told_by_model() -> None:
    metrics = Metrics(lambda: [("nightshift_log_failing", "1 while it fails.", {"flights": 1.0})])
    metrics.observe("flights", 200, 0.003)
    metrics.observe("flights", 422, 100.0)
    metrics.count_rows("flights", "3", 40)

    text = generate_latest(metrics.registry()).decode()

    assert 'nightshift_requests_total{model="flights",status="200"} 1.0' in text
    assert 'nightshift_rows_total{model="flights",version="3"} 40.0' in text
    assert 'nightshift_request_seconds_bucket{le="0.0025",model="flights"} 0.0' in text
    assert 'nightshift_request_seconds_bucket{le="0.005",model="flights"} 1.0' in text
    assert 'nightshift_request_seconds_bucket{le="+Inf",model="flights"} 2.0' in text
    assert 'nightshift_log_failing{model="flights"} 1.0' in text


def test_a_time_on_a_bound_falls_below_it() -> None:
    metrics = Metrics()
    metrics.observe("m", 200, BOUNDS[0])

    assert f'le="{BOUNDS[0]}",model="m"}} 1.0' in generate_latest(metrics.registry()).decode()
