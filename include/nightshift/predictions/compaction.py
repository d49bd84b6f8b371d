"""Entries move from segments into Parquet files by event day, each exactly once.

``<log>/compacted.json`` is the one truth: which files make up which day, and
how far each segment has been read. It is replaced in one rename after the files
it names are on the disk. A compaction that is killed anywhere has either
happened or not; what it left unnamed is swept by the next one.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.files import sync_folder, write_json
from nightshift.predictions.days import first_of_each, read_ids, read_parts, tables_by_day, together
from nightshift.predictions.frames import Damage, scan
from nightshift.predictions.manifest import MANIFEST, Lost, Manifest, Place
from nightshift.predictions.record import Answered, Columns, Refused, decode, moment
from nightshift.predictions.segments import MODE, Segment, held, list_segments

ROWS_AT_ONCE = 200_000
PARTS_MAX = 8
"""A day of more files than this is written anew as one."""
DAY = timedelta(days=1)


def compact(log: Path) -> Manifest:
    """Move every whole entry of a log's segments into its days; return what there is now.

    Running it twice, or two at once, changes nothing more. A row whose
    prediction id is there already (a caller's retry) is counted and dropped.
    Segments that were read to their end and whose writer is gone are removed;
    damaged ones are kept in ``damaged/``.
    """
    if not (log / "segments").is_dir():
        return Manifest.read(log)
    with held(log / ".compact.lock"):
        manifest = Manifest.read(log)
        _sweep(log, manifest)
        segments = list_segments(log)
        for batch in _batches(segments, manifest):
            manifest = _commit(log, manifest, batch)
        _retire(log, segments, manifest)
        return manifest


@dataclass
class _Batch:
    """Entries on their way, and what the manifest will say once they have arrived."""

    places: dict[str, Place]
    entries: list[tuple[Columns, Answered | Refused]] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    rows: int = 0


def _batches(segments: list[Segment], manifest: Manifest) -> Iterator[_Batch]:
    """Yield what is new in the segments, a bounded number of rows at a time (a segment is never split)."""
    present = {segment.path.name for segment in segments}
    batch = _Batch({name: place for name, place in manifest.places.items() if name in present})
    for segment in segments:
        _read(segment, batch)
        if batch.rows >= ROWS_AT_ONCE:
            yield batch
            batch = _Batch(dict(batch.places))
    yield batch


def _read(segment: Segment, batch: _Batch) -> None:
    """Take what is new in one segment into the batch."""
    name = segment.path.name
    place = batch.places.get(name, Place())
    found = scan(segment.read(place.offset), start=place.offset)
    columns, damage, end = dict(place.columns), list(found.damage), found.end
    if not segment.is_sealed and damage and damage[-1].torn:
        damage.pop()  # its writer is still at it
    elif damage and damage[-1].torn:
        end = damage[-1].offset + damage[-1].bytes
    day: date | None = None
    lost = []
    for offset, payload in found.frames:
        entry = decode(payload)
        if isinstance(entry, Columns):
            columns[entry.version] = entry
            continue
        while damage and damage[0].offset < offset:
            lost.append(_lost(name, damage.pop(0), day))
        day = _day(entry)
        if entry.version not in columns:  # the line that told of them is lost; the entry alone says too little
            lost.append(Lost(name, offset, len(payload), torn=False, day=day))
            continue
        batch.entries.append((columns[entry.version], entry))
        batch.rows += len(entry.rows)
    lost += [_lost(name, rest, day) for rest in damage]
    batch.lost += lost
    batch.places[name] = Place(end, columns)


def _lost(segment: str, damage: Damage, day: date | None) -> Lost:
    return Lost(segment, damage.offset, damage.bytes, damage.torn, day)


def _day(entry: Answered | Refused) -> date:
    if isinstance(entry, Answered) and entry.times and entry.times[-1] is not None:
        return moment(entry.times[-1]).date()
    return moment(entry.at).date()


def _commit(log: Path, manifest: Manifest, batch: _Batch) -> Manifest:
    """Write the batch's rows into their days, then say so."""
    fresh = tables_by_day(batch.entries)
    if not fresh and not batch.lost and all(manifest.places.get(name) == place for name, place in batch.places.items()):
        return manifest
    parts, duplicates = dict(manifest.parts), dict(manifest.duplicates)
    number = manifest.number + 1
    for day, table in fresh.items():
        rows = first_of_each(table, _known_ids(log, parts, day, table))
        duplicates[day] = duplicates.get(day, 0) + len(table) - len(rows)
        if len(rows):
            parts[day] = _grow(log, parts.get(day, ()), rows, name=f"day={day}/{number:08d}.parquet")
    manifest = replace(
        manifest,
        number=number,
        parts=parts,
        duplicates=duplicates,
        places=batch.places,
        lost=(*manifest.lost, *batch.lost),
    )
    write_json(log / MANIFEST, manifest.to_json())
    return manifest


def _grow(log: Path, names: tuple[str, ...], rows: pa.Table, *, name: str) -> tuple[str, ...]:
    """Write rows as one more file of a day, or the whole day anew if it has many; return the day's files."""
    if len(names) < PARTS_MAX:
        _write(log / "days" / name, rows)
        return (*names, name)
    known = read_parts(log / "days" / known for known in names)
    _write(log / "days" / name, rows if known is None else together([known, rows]))
    return (name,)


def _known_ids(log: Path, parts: dict[date, tuple[str, ...]], day: date, table: pa.Table) -> set[str]:
    """Return the ids a new row of ``day`` must not repeat.

    A retry carries the same event time and so falls on the same day, unless
    the rows have none and midnight lay between the two tries.
    """
    days = [day]
    if table.column("time").equals(table.column("at")):
        days += [day - DAY, day + DAY]
    return {name for near in days for part in parts.get(near, ()) for name in read_ids(log / "days" / part)}


def _write(path: Path, rows: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".{path.name}.tmp"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE), "wb") as file:
        pq.write_table(rows, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def _sweep(log: Path, manifest: Manifest) -> None:
    """Remove what a killed compaction left and what a later one replaced."""
    named = {name for names in manifest.parts.values() for name in names}
    if not (log / "days").exists():
        return
    for day in os.scandir(log / "days"):  # a year has hundreds, which pathlib takes its time for
        for file in os.scandir(day) if day.name.startswith("day=") else ():
            if f"{day.name}/{file.name}" not in named:
                Path(file.path).unlink(missing_ok=True)


def _retire(log: Path, segments: list[Segment], manifest: Manifest) -> None:
    """Remove the sealed segments that hold nothing new; keep those with damage in their middle aside."""
    damaged = {lost.segment for lost in manifest.lost if not lost.torn}
    for segment in segments:
        place = manifest.places.get(segment.path.name)
        if not segment.is_sealed or place is None or segment.read(place.offset):
            continue
        if segment.path.name in damaged:
            (log / "damaged").mkdir(exist_ok=True)
            segment.path.rename(log / "damaged" / segment.path.name)
        else:
            segment.path.unlink()
