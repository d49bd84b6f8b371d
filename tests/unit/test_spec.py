"""A declaration says what it means, and every mistake in one is answered with its line and what to do."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factories.spec import HOSTILE_NAMES, a_spec, read_text, write_spec
from nightshift.errors import SpecError
from nightshift.files import read_json
from nightshift.settings import find_project
from nightshift.spec import (
    COMPARED,
    EXAMPLE,
    GATED,
    WATCHED,
    Feature,
    Kind,
    Label,
    Task,
    find_spec,
    json_schema,
    load_spec,
    load_specs,
    with_policy,
)  # fmt: skip

DECLARED = find_project() / "include" / "specs"
SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


# ---------------------------------------------------------------- what it says


def test_the_example_is_read_as_it_is_meant(tmp_path: Path) -> None:
    spec = read_text(tmp_path, EXAMPLE)

    assert spec.kinds == {"temperature": Kind.NUMERIC, "weather": Kind.CATEGORICAL}
    assert spec.split.train == timedelta(days=60)
    assert (spec.retrain_asset, spec.champion_asset) == ("bikes/retrain", "bikes/champion")


@pytest.mark.parametrize("path", sorted(DECLARED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_declaration_of_the_project_can_be_read(path: Path) -> None:
    assert load_spec(path).name == path.stem


def test_the_schema_beside_the_declarations_is_the_one_of_this_code() -> None:
    assert read_json(DECLARED / "schema.json") == json_schema()


@given(st.integers(1, 9999), st.sampled_from("mhdw"), st.sampled_from(["", " ", "  "]))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str, space: str) -> None:
    spec = a_spec(monitor={"window": f"{number}{space}{unit}"}) if number * SECONDS[unit] < 36525 * 86_400 else None

    assert spec is None or spec.monitor.window.total_seconds() == number * SECONDS[unit]


@pytest.mark.parametrize("text", ["28", "d", "", "28 days", "-1d", "1.5d", "1e3d", "٣d", "28D", "1d2h", "9" * 20 + "d"])
def test_a_duration_without_a_number_and_a_unit_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError, match=r'bikes\.yaml:12: split\.test is .*; give a number and a unit .*"28d"'):
        read_text(tmp_path, EXAMPLE.replace("test: 14d", f'test: "{text}"'))


def test_a_duration_beyond_a_century_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="longer than a century"):
        read_text(tmp_path, EXAMPLE.replace("60d", "99999w"))


@pytest.mark.parametrize("place", ["train: 60d", "validation: 14d", "test: 14d"])
def test_a_split_of_no_time_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(SpecError, match="is no time at all"):
        read_text(tmp_path, EXAMPLE.replace(place, f"{place.split(':')[0]}: 0d"))


def test_a_window_of_no_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"bikes\.yaml:13: monitor\.window is no time at all"):
        read_text(tmp_path, EXAMPLE + "monitor: {window: 0h}\n")


@pytest.mark.parametrize(
    "cron", ["0 2 * * *", "*/5 * * * *", "0,30 8-18 1-31/2 * 1-5", "59 23 31 12 7", "0 0 * * 0", "5 4 1 1,7 *"]
)
def test_a_cron_that_airflow_understands_is_kept(cron: str) -> None:
    assert a_spec(schedule={"build": cron}).schedule.build == cron


@pytest.mark.parametrize(
    "cron",
    ["a b c d e", "0 2 * *", "0 2 * * * *", "60 2 * * *", "0 24 * * *", "0 2 0 * *", "0 2 * 13 *", "0 2 * * 8",
     "@daily", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "* * * * mon", "-1 * * * *", "1- * * * *", "",
     "0 2 * * {{x}}"],
)  # fmt: skip
def test_a_cron_that_airflow_would_stumble_over_is_refused_before_it_meets_it(tmp_path: Path, cron: str) -> None:
    with pytest.raises(SpecError, match=r"schedule\.build is .*; give five cron fields"):
        read_text(tmp_path, f'{EXAMPLE}schedule: {{build: "{cron}"}}\n')


# ---------------------------------------------------------------- its digest


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_and_comments_do_not_change_the_digest(chance: random.Random) -> None:
    content = yaml.safe_load(EXAMPLE)
    keys = list(content)
    chance.shuffle(keys)

    shuffled = a_spec(**{key: content[key] for key in keys}, training={"parameters": {"eta": 0.1, "max_depth": 3}})

    assert shuffled.digest == a_spec(training={"parameters": {"max_depth": 3, "eta": 0.1}}).digest


def test_another_order_of_features_is_another_model_and_another_digest() -> None:
    turned = a_spec(features={"weather": "categorical", "temperature": "numeric"})

    assert turned.digest != a_spec().digest


@pytest.mark.parametrize(
    "change",
    [{"purpose": "another"}, {"training": {"seed": 1}}, {"split": {"train": "61d", "validation": "14d", "test": "14d"}},
     {"training": {"parameters": {"eta": 0.1}}}, {"time": {"column": "hour", "known_before": "1h"}}],
)  # fmt: skip
def test_whatever_changes_the_meaning_changes_the_digest(change: dict[str, Any]) -> None:
    assert a_spec(**change).digest != a_spec().digest


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("wrong", "line", "said"),
    [
        ("splitt: {}", 13, "unknown key 'splitt'; did you mean 'split'?"),
        (
            "monitor:\n  rows_min: 5\n  limits: {drit: 1}",
            15,
            "unknown key 'monitor.limits.drit'; did you mean 'drift'?",
        ),
        ("zzz: 1", 13, "unknown key 'zzz'; known are: alerts, approval, feature_service, features"),
        ("training: {parameters: {seed: 1}}", 13, "training has seed among its parameters, which follow from"),
        ("training: {parameters: {eta: [1]}}", 13, "training.parameters.eta is [1]; give a number, a word"),
        ("training: {threads: 65}", 13, "training.threads is 65; input should be less than or equal to 64"),
        ("gates: {metrics: {rmse: {}}}", 13, "gates.metrics.rmse needs either at_least or at_most"),
        ("gates: {metrics: {rmse: {at_most: 1, at_least: 1}}}", 13, "needs either at_least or at_most"),
        ("gates:\n  metrics:\n    rmsee: {at_most: 1}", 15, "gates.metrics.rmsee names 'rmsee', no metric there"),
        ("gates: {metrics: {auc: {at_least: 0.6}}}", 13, "no metric there of a regression model; known are: rmse, mae"),
        ("gates: {champion: {metric: rmes}}", 13, "gates.champion.metric names 'rmes'"),
        ("monitor: {limits: {performance: {bias: 1}}}", 13, "monitor.limits.performance.bias names 'bias', no metric"),
        ("gates: {champion: {metric: rmse, segments: [temperature]}}", 13, "gates.champion.segments names temperature"),
        ("governor: {wanted: 4, nights: 3}", 13, "governor wants 4 of 3 nights, which can never be"),
        ("alerts: log", 13, "alerts is 'log'; give a list of channels, or channels"),
        ('alerts: ["ops mail"]', 13, "alerts.channels.0 is 'ops mail'; string should match pattern"),
        ("promotion: always", 13, "promotion is 'always'; input should be 'automatic', 'approve' or 'manual'"),
    ],
)
def test_a_mistake_is_answered_with_its_line_and_what_to_do(tmp_path: Path, wrong: str, line: int, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_text(tmp_path, f"{EXAMPLE}{wrong}\n")

    assert str(caught.value).startswith(f"bikes.yaml:{line}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("find", "replace", "line", "said"),
    [
        ("purpose: How many bikes will be rented in the next hour?\n", "", 1, "purpose is missing; add it"),
        ("temperature: numeric", "temperature: number", 10, "features.temperature.kind is 'number'"),
        ("temperature: numeric", "temperature: {kid: numeric}", 10, "did you mean 'kind'?"),
        ("temperature: numeric", "kind: {kid: numeric}", 10, "unknown key 'features.kind.kid'; did you mean 'kind'?"),
        ("temperature: numeric", "two words: numeric", 10, "string should match pattern"),
        ("temperature: numeric", "rented: numeric", 10, "features.rented is the label.column; a model must not learn"),
        ("temperature: numeric", "hour: numeric", 10, "features.hour is the time.column"),
        ("temperature: numeric", "hour_id: numeric", 10, "features.hour_id is the key"),
        ("{column: rented}", "{column: hour}", 8, "label.column is 'hour', the key or the time"),
        ("{column: hour}", "{column: hour, first: 2013-13-45}", 7, "time.first is '2013-13-45'; input should be"),
        ("{column: hour}", "{column: hour, first: 2014-01-01, last: 2013-01-01}", 7, "time has first, 2014-01-01,"),
        ("{path: bikes/*.parquet}", "{}", 5, "source needs either module"),
        ("{path: bikes/*.parquet}", "{path: a, module: b}", 5, "source needs either module"),
        ("{path: bikes/*.parquet}", "{module: ../b}", 5, "source.module is '../b'; string should match"),
        ("{team: city,", "{team: '',", 3, "owner.team is ''; string should have at least 1 character"),
    ],
)  # fmt: skip
def test_a_spoiled_line_is_the_line_that_is_named(
    tmp_path: Path, find: str, replace: str, line: int, said: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read_text(tmp_path, EXAMPLE.replace(find, replace))

    first = [problem for problem in str(caught.value).splitlines() if said in problem]
    assert first, str(caught.value)
    assert first[0].startswith(f"bikes.yaml:{line}: ")


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_text(tmp_path, EXAMPLE.replace("task: regression", "task: guess") + "zzz: 1\nyyy: 2\n")

    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["4", "13", "14"]


def test_a_long_or_unprintable_value_is_shown_in_short(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_text(tmp_path, f'{EXAMPLE}"a\\e[31m\\nERROR fake": {"x" * 100_000}\n{"y" * 1_000}: 1\n')

    assert len(str(caught.value)) < 1_000
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


def test_what_is_watched_is_gated_too_and_can_be_worse() -> None:
    assert all(set(WATCHED[task]) <= set(COMPARED[task]) <= set(GATED[task]) for task in Task)


# ---------------------------------------------------------------- names and folders


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_no_model_is_called_like_a_path_or_a_command(tmp_path: Path, name: str) -> None:
    write_spec(tmp_path / "specs")
    (tmp_path / "bikes.yaml").write_text(EXAMPLE)

    with pytest.raises(SpecError, match="no model is called"):
        find_spec(tmp_path / "specs", name)
    with pytest.raises(ValueError, match="name"):
        a_spec(name=name)


def test_a_name_differs_from_its_files(tmp_path: Path) -> None:
    path = write_spec(tmp_path, name="bicycles")

    with pytest.raises(SpecError, match=r"bicycles.yaml:1: name is 'bikes' in a file called bicycles.yaml; rename"):
        load_spec(path)


def test_a_misspelled_model_is_answered_with_the_nearest(tmp_path: Path) -> None:
    write_spec(tmp_path)

    with pytest.raises(SpecError, match=r"no model is called 'bike' in .*; did you mean 'bikes'"):
        find_spec(tmp_path, "bike")


def test_an_unlike_name_is_answered_with_all_there_are(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="known are: none"):
        find_spec(tmp_path, "zzz")


def test_a_folder_of_declarations_is_read_by_name(tmp_path: Path) -> None:
    write_spec(tmp_path)
    write_spec(tmp_path, EXAMPLE.replace("bikes", "rides"), name="rides")

    assert list(load_specs(tmp_path)) == ["bikes", "rides"]


def test_the_problems_of_all_files_are_told_together(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_spec(tmp_path, f"{EXAMPLE.replace('bikes', name)}zzz: 1\n", name=name)

    with pytest.raises(SpecError) as caught:
        load_specs(tmp_path)

    assert [line[:12] for line in str(caught.value).splitlines()] == ["one.yaml:13:", "two.yaml:13:"]


def test_a_missing_folder_holds_no_declarations(tmp_path: Path) -> None:
    assert load_specs(tmp_path / "nowhere") == {}


# ---------------------------------------------------------------- its calendar


def test_a_calendar_holds_its_days_and_their_last_midnight() -> None:
    spec = a_spec(time={"column": "hour", "first": date(2013, 1, 1), "last": date(2013, 12, 31)})

    inside = [datetime(2013, 1, 1, 1, tzinfo=UTC), datetime(2013, 7, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)]
    outside = [datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, 1, tzinfo=UTC), datetime(2012, 7, 1, tzinfo=UTC)]

    assert [spec.in_calendar(moment) for moment in inside] == [True] * 3
    assert [spec.in_calendar(moment) for moment in outside] == [False] * 3


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_source_that_is_alive_has_no_calendar(moment: datetime) -> None:
    assert a_spec().in_calendar(moment)


# ---------------------------------------------------------------- how labels mature, and other policies


def test_labels_without_a_curve_come_all_at_once() -> None:
    label = Label(column="late", matures_after="2d")

    assert label.mature_age == timedelta(days=2)
    assert [label.expected_share(timedelta(days=age)) for age in (0, 1, 2, 3)] == [0.0, 0.0, 1.0, 1.0]


def test_a_cohort_is_mature_when_the_curve_reaches_the_coverage_that_is_wanted() -> None:
    label = Label(column="late", matures_after="1d", arrives={"7d": 0.95, "2d": 0.6, "30d": 1.0}, coverage=0.9)

    assert label.mature_age == timedelta(days=7)
    assert [label.expected_share(timedelta(days=age)) for age in (1, 2, 6, 7, 29, 40)] == [0, 0.6, 0.6, 0.95, 0.95, 1]


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ("{1d: 0.9, 2d: 0.5}", "falls with age"),
        ("{1d: 0.5}", "ends at 0.5, below coverage, 0.9"),
        ("{1d: 1.5}", "label.arrives.1d"),
        ("{soon: 1.0}", "give a number and a unit"),
    ],
)
def test_a_curve_that_can_never_be_is_refused(tmp_path: Path, curve: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_text(tmp_path, EXAMPLE.replace("{column: rented}", f"{{column: rented, arrives: {curve}}}"))


def policy(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text)
    return path


def test_a_policy_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    spec = a_spec(monitor={"rows_min": 77, "limits": {"drift": 0.3, "column": 0.01}})

    other = with_policy(spec, policy(tmp_path, "monitor: {limits: {drift: 0.9}}\ngovernor: {cooldown: 3d}\n"))

    assert (other.monitor.limits.drift, other.monitor.limits.column, other.monitor.rows_min) == (0.9, 0.01, 77)
    assert (other.governor.cooldown, other.governor.wanted) == (timedelta(days=3), spec.governor.wanted)
    assert other.model_copy(update={"monitor": spec.monitor, "governor": spec.governor}) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("features: {temperature: numeric}", r"policy.yaml:1: 'features' is no part of a policy"),
        ("monitor: {window: 2d}", "monitor.window cannot be changed afterwards"),
        ("governor: {wanted: 9, nights: 3}", "which can never be; lower wanted"),
        ("governor: {coldown: 3d}", "did you mean 'cooldown'"),
        ("monitor: {limits: {performance: {auc: 0.1}}}", "no metric there of a regression model"),
    ],
)
def test_a_policy_is_read_as_strictly_as_a_declaration(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        with_policy(a_spec(), policy(tmp_path, text))


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ({"kind": "numeric", "missing": "default"}, "needs both missing: default and a value"),
        ({"kind": "numeric", "default": 1.0}, "needs both missing: default and a value"),
        ({"kind": "numeric", "missing": "default", "default": "none"}, "give a number if it is numeric"),
        ({"kind": "categorical", "missing": "default", "default": 1.0}, "text if categorical"),
    ],
)
def test_a_default_needs_its_word_its_value_and_its_kind(feature: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Feature.model_validate(feature)
